"""Reliability diagrams: what was said against what came of it, before and after a calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import DataError
from ..evaluation.calibration import Reliability
from .curves import LIGHT

_SUPERSAMPLE = 2  # as in `curves`
_SIDE, _BARS = 420, 84  # of a diagram, and of the bars below it, in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 86, 34, 96, 66
_FONT, _SMALL = 18, 15


class ReliabilityPanel(NamedTuple):
    """One diagram: a name, and the lines that are drawn in it, the last one strongest."""

    name: str
    lines: Mapping[str, Reliability]  # such as {"before": ..., "after": ...}


def draw_reliability(panels: Sequence[ReliabilityPanel], *, note: str = "") -> Image.Image:
    """Diagrams side by side, each with the expected calibration error of its lines and, below, how many are in a bin.

    A point is a bin; on the dashed diagonal what is said is what happens, below it the model is too sure that a place
    is covered, above it not sure enough.  The disc's area grows with the number of forecasts in the bin.  Raises
    `DataError` when there is nothing to draw.
    """
    if not panels or not all(panel.lines for panel in panels):
        raise DataError("there is no reliability to draw; give at least one panel with a line")
    s = _SUPERSAMPLE
    wide, tall = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + 22 + _BARS + _BOTTOM + (30 if note else 0)
    image = Image.new("RGB", (wide * len(panels) * s, tall * s), LIGHT.paper)
    drawing = ImageDraw.Draw(image)
    for index, panel in enumerate(panels):
        _draw(drawing, panel, index * wide * s, s)
    if note:
        at = (16 * s, (tall - 34) * s)
        drawing.text(at, note, fill=LIGHT.faint, font=ImageFont.load_default(_SMALL * s))
    return image.resize((wide * len(panels), tall), Image.Resampling.LANCZOS)


def _draw(drawing: ImageDraw.ImageDraw, panel: ReliabilityPanel, left: float, s: int) -> None:
    font, small = ImageFont.load_default(_FONT * s), ImageFont.load_default(_SMALL * s)
    x0, y0, side = left + _LEFT * s, _TOP * s, _SIDE * s

    def at(x: float, y: float) -> tuple[float, float]:
        return x0 + x * side, y0 + (1 - y) * side

    drawing.text((x0, 12 * s), panel.name, fill=LIGHT.ink, font=font)
    colours = _colours(len(panel.lines))
    x = x0
    for (name, found), colour in zip(panel.lines.items(), colours, strict=True):
        words = f"{name}: ECE {found.ece:.3f}"
        drawing.ellipse((x, 46 * s, x + 12 * s, 58 * s), fill=colour)
        drawing.text((x + 18 * s, 42 * s), words, fill=LIGHT.ink, font=small)
        x += 18 * s + small.getlength(words) + 22 * s
    for share in (0, 0.25, 0.5, 0.75, 1):
        drawing.line((*at(0, share), *at(1, share)), fill=LIGHT.grid, width=s)
        drawing.line((*at(share, 0), *at(share, 1)), fill=LIGHT.grid, width=s)
        label = f"{100 * share:.0f}"
        drawing.text((x0 - 10 * s, at(0, share)[1]), label, fill=LIGHT.faint, font=small, anchor="rm")
        drawing.text((at(share, 0)[0], y0 + side + 6 * s), label, fill=LIGHT.faint, font=small, anchor="mt")
    drawing.text((x0, 72 * s), "covered in truth, %", fill=LIGHT.faint, font=small)
    for step in range(0, 50, 2):
        drawing.line((*at(step / 50, step / 50), *at((step + 1) / 50, (step + 1) / 50)), fill=LIGHT.faint, width=2 * s)
    for found, colour in zip(panel.lines.values(), colours, strict=True):
        filled = np.flatnonzero(found.number)
        points = [at(float(found.confidence[i]), float(found.observed[i])) for i in filled]
        drawing.line(points, fill=colour, width=3 * s, joint="curve")
        for i, (px, py) in zip(filled, points, strict=True):
            radius = s * (4 + 6 * (found.number[i] / found.number.max()) ** 0.5)
            drawing.ellipse((px - radius - s, py - radius - s, px + radius + s, py + radius + s), fill=LIGHT.paper)
            drawing.ellipse((px - radius, py - radius, px + radius, py + radius), fill=colour)
    _bars(drawing, panel, at(0, 0)[0], y0 + side + 30 * s, s, colours)
    below = y0 + side + (30 + _BARS + 8) * s
    words = "what the model says, %; bars: forecasts in a bin, square-root scale"
    drawing.text((x0 + side / 2, below), words, fill=LIGHT.faint, font=small, anchor="mt")


def _bars(
    drawing: ImageDraw.ImageDraw,
    panel: ReliabilityPanel,
    x0: float,
    y0: float,
    s: int,
    colours: Sequence[tuple[int, int, int]],
) -> None:
    """How many forecasts a bin has, as shares of the fullest, the lines' bars side by side."""
    side, floor, lines = _SIDE * s, y0 + _BARS * s, len(panel.lines)
    for place, (found, colour) in enumerate(zip(panel.lines.values(), colours, strict=True)):
        for low, high, number in zip(found.edges, found.edges[1:], found.number, strict=False):
            wide = (high - low) * side
            left = x0 + low * side + wide * (0.1 + 0.8 * place / lines)
            tall = (_BARS - 4) * s * float(number / found.number.max()) ** 0.5
            if number:
                drawing.rectangle((left, floor - max(tall, s), left + 0.8 * wide / lines, floor), fill=colour)
    drawing.line((x0, floor, x0 + side, floor), fill=LIGHT.faint, width=s)


def _colours(lines: int) -> list[tuple[int, int, int]]:
    """The last line in the first method colour, what is before it in grey and then others."""
    order = [LIGHT.lines[1], LIGHT.lines[0], LIGHT.lines[2], LIGHT.lines[3]]
    return [order[place % len(order)] for place in reversed(range(lines))]
