"""The dictionary as a picture: each block, and where in the top map its item discards features."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from .head import PdsnHead
from .locality import measure_locality

_PAPER, _INK, _FAINT, _LINE = (255, 255, 255), (28, 30, 34), (98, 102, 110), (225, 228, 233)
_ORANGE, _TEAL = (255, 122, 0), (0, 150, 132)
_MAP_WIDTH, _GAP, _MARGIN, _SIGN = 132, 28, 36, 40  # pixels; the sign is the small picture of the block


def draw_dictionary(head: PdsnHead) -> Image.Image:
    """One panel a block, laid out as the blocks lie on the face.

    A panel shows the block on the face, small, and beside it the top map: the stronger the orange at a position, the
    more of its channels are discarded, as the number in it says in percent.  The block is outlined on the map in teal.
    """
    found, k, image = measure_locality(head), head.k, head.blocks.image
    high = round(_MAP_WIDTH * image.height / image.width)
    wide = _SIGN + 8 + _MAP_WIDTH
    above = 92
    size = (2 * _MARGIN + k * wide + (k - 1) * _GAP, above + _MARGIN + k * high + (k - 1) * _GAP)
    sheet = Image.new("RGB", (max(size[0], 640), size[1]), _PAPER)
    drawing = ImageDraw.Draw(sheet)
    drawing.text(
        (_MARGIN, 24), "Features discarded when one block is covered", fill=_INK, font=ImageFont.load_default(24)
    )
    words = f"{found.inside:.0%} of the features under the block (teal), {found.outside:.0%} of the others"
    drawing.text((_MARGIN, 58), words, fill=_FAINT, font=ImageFont.load_default(16))
    most = max(float(found.shares.max()), 1e-9)
    for block in range(head.blocks.count):
        row, column = divmod(block, k)
        x, y = _MARGIN + column * (wide + _GAP), above + row * (high + _GAP)
        corners = (*head.blocks.top_left[block].tolist(), *head.blocks.bottom_right[block].tolist())
        _draw_sign(drawing, (x, y), corners, (_SIGN, round(_SIGN * image.height / image.width)))
        at = x + _SIGN + 8
        shares, box = found.shares[block].tolist(), (_MAP_WIDTH, high)
        _draw_map(drawing, (at, y), shares, box, most)
        drawing.rectangle(_placed(corners, (at, y), box), outline=_TEAL, width=3)
        _write_numbers(drawing, (at, y), shares, box)
    return sheet


def _placed(corners: tuple[float, ...], at: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    (x, y), (width, height) = at, size
    x0, y0, x1, y1 = corners
    return round(x + x0 * width), round(y + y0 * height), round(x + x1 * width), round(y + y1 * height)


def _draw_sign(
    drawing: ImageDraw.ImageDraw, at: tuple[int, int], corners: tuple[float, ...], size: tuple[int, int]
) -> None:
    drawing.rectangle(_placed((0, 0, 1, 1), at, size), outline=_FAINT)
    drawing.rectangle(_placed(corners, at, size), fill=_TEAL)


def _draw_map(
    drawing: ImageDraw.ImageDraw, at: tuple[int, int], shares: list[list[float]], size: tuple[int, int], most: float
) -> None:
    for share, place in _positions(shares, at, size):
        strength = share / most
        colour = tuple(round(p + (o - p) * strength) for p, o in zip(_PAPER, _ORANGE, strict=True))
        drawing.rectangle(place, fill=colour, outline=_LINE)


def _write_numbers(
    drawing: ImageDraw.ImageDraw, at: tuple[int, int], shares: list[list[float]], size: tuple[int, int]
) -> None:
    font = ImageFont.load_default(9)
    for share, (x0, y0, x1, y1) in _positions(shares, at, size):
        drawing.text(((x0 + x1) // 2, (y0 + y1) // 2), f"{100 * share:.0f}", fill=_INK, font=font, anchor="mm")


def _positions(
    shares: list[list[float]], at: tuple[int, int], size: tuple[int, int]
) -> Iterator[tuple[float, tuple[int, int, int, int]]]:
    rows, columns = len(shares), len(shares[0])
    for i, line in enumerate(shares):
        for j, share in enumerate(line):
            corners = (j / columns, i / rows, (j + 1) / columns, (i + 1) / rows)
            yield share, _placed(corners, at, size)
