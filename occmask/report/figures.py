"""Pictures of faces with what the model believes is covered, like Fig. 5 of the FROM paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..errors import DataError, ShapeError

ORANGE = (255, 122, 0)  # what the model believes is covered
TEAL = (0, 200, 175)  # what really is
_INK, _FAINT, _PAPER = (28, 30, 34), (98, 102, 110), (255, 255, 255)
_TINT_AT_ZERO, _TINT_AT_ONE = 0.20, 0.65  # opacity of the orange; weak enough that the face shows through
_TITLE, _SUBTITLE, _HEADING = 17, 15, 26  # font sizes in pixels


@dataclass(frozen=True, kw_only=True)
class FacePicture:
    """One face and the answer about it. Boxes are x0 y0 x1 y1 divided by W H W H; all zero = nothing is covered."""

    image: NDArray[np.uint8]  # (H, W, 3)
    cells: NDArray[np.floating]  # (K, K) probability that the cell is covered; row 0 is the top
    box: NDArray[np.floating] | None = None  # (4,) predicted
    true_box: NDArray[np.floating] | None = None  # (4,) None: nobody knows
    title: str = ""
    subtitle: str = ""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ShapeError(f"image is {self.image.shape} of {self.image.dtype}; it must be (H, W, 3) uint8")
        if self.cells.ndim != 2 or self.cells.shape[0] != self.cells.shape[1]:
            raise ShapeError(f"cells are {self.cells.shape}; they must be (K, K) probabilities")
        for name, box in (("box", self.box), ("true_box", self.true_box)):
            if box is not None and np.shape(box) != (4,):
                raise ShapeError(f"{name} is {np.shape(box)}; it must be (4,): x0 y0 x1 y1")

    @property
    def believed(self) -> NDArray[np.bool_]:
        """(K, K): the cells of the answer, whose centre lies in the box; without a box those at one half or above."""
        if self.box is None:
            likely: NDArray[np.bool_] = self.cells >= 0.5
            return likely
        centre = (np.arange(len(self.cells)) + 0.5) / len(self.cells)
        x0, y0, x1, y1 = self.box
        inside: NDArray[np.bool_] = np.outer((centre > y0) & (centre < y1), (centre > x0) & (centre < x1))
        return inside


def draw_face(picture: FacePicture, *, scale: int = 3) -> Image.Image:
    """The face enlarged `scale` times, believed-covered cells in orange, the true box outlined in teal.

    The stronger the tint, the surer the model is of that cell.  The predicted box has a thin orange outline.
    """
    height, width = picture.image.shape[:2]
    face = _enlarged(picture, scale)
    tint = Image.new("L", face.size, 0)
    brush = ImageDraw.Draw(tint)
    k = len(picture.cells)
    for row, column in zip(*np.nonzero(picture.believed), strict=True):
        strength = _TINT_AT_ZERO + (_TINT_AT_ONE - _TINT_AT_ZERO) * float(picture.cells[row, column])
        left, right = (i * width // k * scale for i in (column, column + 1))
        top, bottom = (i * height // k * scale for i in (row, row + 1))
        brush.rectangle((left, top, right - 1, bottom - 1), fill=round(255 * min(strength, 1.0)))
    face.paste(ORANGE, (0, 0), tint)
    drawing = ImageDraw.Draw(face)
    _outline(drawing, picture.box, face.size, colour=ORANGE, width=max(1, scale // 2))
    _outline(drawing, picture.true_box, face.size, colour=TEAL, width=max(2, scale), halo=True)
    return face


def draw_pair(picture: FacePicture, *, scale: int = 2) -> Image.Image:
    """The face as it was given, and below it the answer drawn on it."""
    plain, answer = _enlarged(picture, scale), draw_face(picture, scale=scale)
    pair = Image.new("RGB", (plain.width, 2 * plain.height + scale), (128, 128, 128))
    pair.paste(plain, (0, 0))
    pair.paste(answer, (0, plain.height + scale))
    return pair


def draw_occlusions(
    pictures: Sequence[FacePicture], *, columns: int = 6, title: str = "", legend: bool = True, scale: int = 2
) -> Image.Image:
    """A captioned grid: each face as given and, below it, what the model believes is covered.

    Raises `DataError` when there are no pictures.
    """
    if not pictures:
        raise DataError("there are no pictures to draw; at least one is needed")
    columns = max(1, min(columns, len(pictures)))
    pairs = [draw_pair(picture, scale=scale) for picture in pictures]
    margin, gap, caption = 40, 24, 58
    cell_width, cell_height = max(p.width for p in pairs), max(p.height for p in pairs) + caption
    rows = -(-len(pairs) // columns)
    head = (52 if title else 0) + (44 if legend else 0)
    size = (
        max(2 * margin + columns * cell_width + (columns - 1) * gap, _legend_width() + 2 * margin if legend else 0),
        2 * margin + head + rows * cell_height + (rows - 1) * gap,
    )
    sheet = Image.new("RGB", size, _PAPER)
    drawing = ImageDraw.Draw(sheet)
    if title:
        drawing.text((margin, margin - 6), title, fill=_INK, font=ImageFont.load_default(_HEADING))
    if legend:
        _draw_legend(drawing, margin, margin + (52 if title else 0))
    for index, (picture, pair) in enumerate(zip(pictures, pairs, strict=True)):
        x = margin + index % columns * (cell_width + gap)
        y = margin + head + index // columns * (cell_height + gap)
        sheet.paste(pair, (x, y))
        _caption(drawing, (x, y + pair.height + 8), picture, pair.width)
    return sheet


def _enlarged(picture: FacePicture, scale: int) -> Image.Image:
    face = Image.fromarray(picture.image)
    return face.resize((face.width * scale, face.height * scale), Image.Resampling.LANCZOS)


def _outline(
    drawing: ImageDraw.ImageDraw,
    box: NDArray[np.floating] | None,
    size: tuple[int, int],
    *,
    colour: tuple[int, int, int],
    width: int,
    halo: bool = False,
) -> None:
    if box is None or box[2] <= box[0] or box[3] <= box[1]:
        return
    x0, y0, x1, y1 = (round(float(v) * s) for v, s in zip(box, (*size, *size), strict=True))
    if halo:  # a dark line beside the teal one keeps it visible on skin and on white alike
        drawing.rectangle((x0, y0, x1 - 1, y1 - 1), outline=(0, 40, 36), width=width + 1)
    drawing.rectangle((x0, y0, x1 - 1, y1 - 1), outline=colour, width=width)


def _caption(drawing: ImageDraw.ImageDraw, at: tuple[int, int], picture: FacePicture, width: int) -> None:
    for text, size, colour, drop in ((picture.title, _TITLE, _INK, 0), (picture.subtitle, _SUBTITLE, _FAINT, 23)):
        font = ImageFont.load_default(size)
        while len(text) > 1 and font.getlength(text) > width + 12:
            text = text[:-4] + "..." if len(text) > 4 else text[:1]
        drawing.text((at[0], at[1] + drop), text, fill=colour, font=font)


_LEGEND = (
    "as given (above), the answer (below)",
    "believed covered: the stronger, the surer",
    "predicted box",
    "true box",
)


def _legend_width() -> int:
    font = ImageFont.load_default(_SUBTITLE)
    return round(sum(font.getlength(text) for text in _LEGEND)) + 2 * 34 + 86 + 3 * 28


def _draw_legend(drawing: ImageDraw.ImageDraw, x: float, y: float) -> None:
    font = ImageFont.load_default(_SUBTITLE)
    for index, text in enumerate(_LEGEND):
        if index == 1:
            for step in range(76):
                strength = _TINT_AT_ZERO + (_TINT_AT_ONE - _TINT_AT_ZERO) * step / 75
                colour = tuple(round(150 + (c - 150) * strength) for c in ORANGE)  # over mid-grey, as on a face
                drawing.line((x + step, y, x + step, y + 17), fill=colour)
            x += 86
        elif index > 1:
            colour, width = ((ORANGE, 1), (TEAL, 3))[index - 2]
            drawing.rectangle((x, y, x + 24, y + 17), fill=(150, 150, 150), outline=colour, width=width)
            x += 34
        drawing.text((x, y - 1), text, fill=_FAINT, font=font)
        x += font.getlength(text) + 28
