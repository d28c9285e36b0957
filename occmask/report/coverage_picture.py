"""One face and everything a model says about what covers it: a map, the likeliest rectangle, the regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..errors import DataError, ShapeError
from .figures import ORANGE

_INK, _FAINT, _PAPER, _LINE = (28, 30, 34), (98, 102, 110), (255, 255, 255), (225, 228, 233)
_EDGE = (255, 255, 255)  # around what is covered by half or more; with a dark rim it shows on any skin
_RIM = (60, 26, 0)
_STRONGEST = 0.78  # opacity of the orange at probability 1: the face still shows through
_TALL = 448  # pixels of a face in the large picture
_MARGIN, _GAP = 24, 18
_PANEL = 300  # width of the list of regions
_NAME, _TEXT, _SMALL = 20, 17, 15  # font sizes


@dataclass(frozen=True, kw_only=True)
class CoveragePicture:
    """A face and the answer about it, as plain numbers."""

    image: NDArray[np.uint8]  # (H, W, 3)
    coverage: NDArray[np.floating]  # (h, w) probability that the place is covered; row 0 is the top
    box: NDArray[np.floating]  # (4,) x0 y0 x1 y1 divided by W H W H; all zero = nothing
    covered: float  # probability that anything is
    regions: Mapping[str, float] = field(default_factory=dict)  # covered share of each
    title: str = ""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ShapeError(f"image is {self.image.shape} of {self.image.dtype}; it must be (H, W, 3) uint8")
        if self.coverage.ndim != 2 or not self.coverage.size:
            raise ShapeError(f"coverage is {self.coverage.shape}; it must be (h, w) probabilities")
        if np.shape(self.box) != (4,):
            raise ShapeError(f"box is {np.shape(self.box)}; it must be (4,): x0 y0 x1 y1")

    @property
    def hidden(self) -> tuple[str, ...]:
        """The regions that are covered by half or more."""
        return tuple(name for name, share in self.regions.items() if share >= 0.5)


def draw_coverage(picture: CoveragePicture) -> Image.Image:
    """The face as given, the map drawn on it in grey, and beside them the list of regions and a legend.

    Orange is the probability of "covered", the stronger the surer; a white line goes around what is covered by half or
    more, an orange rectangle around all of that.
    """
    scale = max(1, round(_TALL / picture.image.shape[0]))
    plain, drawn = _enlarged(picture.image, scale), draw_map(picture, scale=scale)
    foot = 62
    size = (2 * _MARGIN + 2 * plain.width + 2 * _GAP + _PANEL, 2 * _MARGIN + plain.height + foot)
    sheet = Image.new("RGB", size, _PAPER)
    sheet.paste(plain, (_MARGIN, _MARGIN))
    sheet.paste(drawn, (_MARGIN + plain.width + _GAP, _MARGIN))
    drawing = ImageDraw.Draw(sheet)
    _list(drawing, picture, _MARGIN + 2 * (plain.width + _GAP), _MARGIN)
    _legend(drawing, _MARGIN, _MARGIN + plain.height + 16)
    return sheet


def draw_map(picture: CoveragePicture, *, scale: int = 2) -> Image.Image:
    """The map on the face alone, `scale` times enlarged; the face is grey, so that all colour is coverage."""
    face = _enlarged(picture.image, scale).convert("L").convert("RGB")
    probability = np.clip(np.nan_to_num(picture.coverage), 0, 1)
    opacity = Image.fromarray(np.rint(255 * _STRONGEST * probability).astype(np.uint8))
    face.paste(ORANGE, (0, 0), opacity.resize(face.size, Image.Resampling.NEAREST))
    drawing = ImageDraw.Draw(face)
    width = max(1, scale // 2)
    for colour, wide in ((_RIM, width + 2), (_EDGE, width)):
        for line in _outline(probability >= 0.5, face.size):
            drawing.line(line, fill=colour, width=wide)
    x0, y0, x1, y1 = (float(v) * s for v, s in zip(picture.box, (*face.size, *face.size), strict=True))
    if x1 > x0 and y1 > y0:
        for colour, wide in ((_RIM, width + 2), (ORANGE, width)):
            drawing.rectangle((round(x0), round(y0), round(x1) - 1, round(y1) - 1), outline=colour, width=wide)
    return face


def draw_coverage_sheet(
    pictures: Sequence[CoveragePicture], *, columns: int = 6, title: str = "", scale: int = 2
) -> Image.Image:
    """Many faces on one sheet: each as given, below it its map, and which regions are covered.

    Raises `DataError` when there are no pictures.
    """
    if not pictures:
        raise DataError("there are no pictures to draw; at least one is needed")
    columns = max(1, min(columns, len(pictures)))
    height, width = (scale * max(p.image.shape[axis] for p in pictures) for axis in (0, 1))
    tall, wide = 2 * height + 4 + 70, max(width, 180)
    rows = -(-len(pictures) // columns)
    head = 40 if title else 0
    legend = 34
    size = (
        max(2 * _MARGIN + columns * wide + (columns - 1) * _GAP, _legend_width() + 2 * _MARGIN),
        2 * _MARGIN + head + legend + rows * tall + (rows - 1) * _GAP,
    )
    sheet = Image.new("RGB", size, _PAPER)
    drawing = ImageDraw.Draw(sheet)
    if title:
        drawing.text((_MARGIN, _MARGIN - 6), title, fill=_INK, font=ImageFont.load_default(_NAME))
    _legend(drawing, _MARGIN, _MARGIN + head - 4)
    for index, picture in enumerate(pictures):
        x = _MARGIN + index % columns * (wide + _GAP)
        y = _MARGIN + head + legend + index // columns * (tall + _GAP)
        plain = _enlarged(picture.image, scale)
        sheet.paste(plain, (x, y))
        sheet.paste(draw_map(picture, scale=scale), (x, y + plain.height + 4))
        _write(drawing, (x, y + 2 * plain.height + 10), picture.title, _SMALL, _INK, wide)
        said = f"anything covered: {100 * picture.covered:.0f} %"
        _write(drawing, (x, y + 2 * plain.height + 29), said, _SMALL, _FAINT, wide)
        _write(drawing, (x, y + 2 * plain.height + 48), ", ".join(picture.hidden), _SMALL, _FAINT, wide)
    return sheet


def _enlarged(image: NDArray[np.uint8], scale: int) -> Image.Image:
    face = Image.fromarray(image)
    return face.resize((face.width * scale, face.height * scale), Image.Resampling.LANCZOS)


def _outline(places: NDArray[np.bool_], size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """The straight pieces of the border between True and False, in pixels of a picture (width, height)."""
    rows, columns = places.shape
    x = [round(i * size[0] / columns) for i in range(columns + 1)]
    y = [round(i * size[1] / rows) for i in range(rows + 1)]
    across = [(x[c], y[r + 1], x[c + 1], y[r + 1]) for r, c in np.argwhere(places[1:] != places[:-1])]
    down = [(x[c + 1], y[r], x[c + 1], y[r + 1]) for r, c in np.argwhere(places[:, 1:] != places[:, :-1])]
    return [*across, *down]


def _list(drawing: ImageDraw.ImageDraw, picture: CoveragePicture, x: int, y: int) -> None:
    """The title, the probability that anything is covered, and a bar a region."""
    if picture.title:
        _write(drawing, (x, y - 4), picture.title, _TEXT, _FAINT, _PANEL)
        y += 30
    drawing.text((x, y - 4), "anything covered", fill=_INK, font=ImageFont.load_default(_NAME))
    _right(drawing, (x + _PANEL, y - 4), f"{100 * picture.covered:.0f} %", _NAME)
    y += 40
    if not picture.regions:
        return
    drawing.text((x, y), "covered share of each region", fill=_FAINT, font=ImageFont.load_default(_SMALL))
    y += 28
    for name, share in picture.regions.items():
        drawing.text((x, y - 3), name, fill=_INK, font=ImageFont.load_default(_TEXT))
        left, right = x + 92, x + _PANEL - 62
        drawing.rectangle((left, y, right, y + 15), fill=_LINE)
        filled = left + round((right - left) * min(max(share, 0.0), 1.0))
        if filled > left:
            drawing.rectangle((left, y, filled, y + 15), fill=ORANGE)
        half = (left + right) // 2
        drawing.line((half, y - 2, half, y + 17), fill=_FAINT, width=1)
        _right(drawing, (x + _PANEL, y - 3), f"{100 * share:.0f} %", _TEXT)
        y += 32


_LEGEND = ("covered: 0", "100 %", "half or more", "likeliest rectangle")


def _legend_width() -> int:
    font = ImageFont.load_default(_SMALL)
    return round(sum(font.getlength(text) for text in _LEGEND)) + 90 + 2 * 32 + 3 * 26


def _legend(drawing: ImageDraw.ImageDraw, x: float, y: float) -> None:
    font = ImageFont.load_default(_SMALL)
    for index, text in enumerate(_LEGEND):
        if index == 1:
            x -= 16
            for step in range(80):
                tint = tuple(round(150 + (c - 150) * _STRONGEST * step / 79) for c in ORANGE)  # over mid-grey
                drawing.line((x + step, y + 1, x + step, y + 17), fill=tint)
            x += 90
        elif index > 1:
            drawing.rectangle((x, y + 1, x + 22, y + 17), fill=(150, 150, 150))
            colour, inset = ((_EDGE, 4), (ORANGE, 4))[index - 2]
            corners = (x + inset, y + 1 + inset, x + 22 - inset, y + 17 - inset)
            drawing.rectangle(tuple(c + d for c, d in zip(corners, (-1, -1, 1, 1), strict=True)), outline=_RIM, width=4)
            drawing.rectangle(corners, outline=colour, width=2)
            x += 32
        drawing.text((x, y - 1), text, fill=_FAINT, font=font)
        x += font.getlength(text) + 26


def _write(
    drawing: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    width: float,
) -> None:
    """The text, or as much of it as there is room for; of a long path its end is what tells it from others."""
    font = ImageFont.load_default(size)
    short = text
    while len(short) > 1 and font.getlength(short) > width:
        text = text[1:] if "/" in text else text[:-1]
        short = f"...{text}" if "/" in text else f"{text}..."
    drawing.text(at, short, fill=colour, font=font)


def _right(drawing: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int) -> None:
    font = ImageFont.load_default(size)
    drawing.text((at[0] - font.getlength(text), at[1]), text, fill=_INK, font=font)
