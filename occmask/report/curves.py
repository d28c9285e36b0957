"""Rank-1 against covered area: one line a method, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from ..errors import DataError
from ..evaluation.metrics import Estimate
from .results import Results, area_of, conditions_with, estimate, method_name, methods_of

Colour = tuple[int, int, int]
Point = tuple[float, float]

_SUPERSAMPLE = 2  # Pillow draws without anti-aliasing; twice as large and reduced looks smooth
_FONT = 26


class Series(NamedTuple):
    """One method's line."""

    method: str  # the recipe; its display name and its colour follow from it
    area: tuple[float, ...]  # covered share of the picture, ascending
    rank1: tuple[Estimate, ...]


class Theme(NamedTuple):
    """The colours of one figure."""

    paper: Colour
    ink: Colour
    faint: Colour
    grid: Colour
    lines: tuple[Colour, ...]


# Okabe and Ito's colours, which people with any colour vision tell apart; lighter ones on dark paper.
LIGHT = Theme(
    paper=(255, 255, 255),
    ink=(28, 30, 34),
    faint=(98, 102, 110),
    grid=(228, 230, 234),
    lines=((86, 90, 98), (0, 114, 178), (213, 94, 0), (0, 134, 98), (170, 70, 130), (120, 120, 0), (40, 40, 150)),
)
DARK = Theme(
    paper=(22, 24, 29),
    ink=(236, 238, 242),
    faint=(160, 165, 175),
    grid=(52, 56, 64),
    lines=(
        (175, 180, 190),
        (86, 180, 233),
        (255, 146, 60),
        (40, 200, 150),
        (230, 140, 195),
        (240, 220, 90),
        (150, 150, 255),
    ),
)
_ORDER = ("baseline", "augmented", "from", "augmented_fused", "augmented_parts", "retrofit", "frozen")
_PLACES = {method: place for place, method in enumerate(_ORDER)}  # of its colour and marker
_CORNERS = (
    (0, 0),
    (4, 45),
    (3, -90),
    (4, 0),
    (3, 90),
    (6, 0),
    (5, -90),
)  # of each marker, and its turn in degrees; 0: a disc


def curves_of(results: Results) -> tuple[Series, ...]:
    """Rank-1 of every method on the conditions that fix the covered area (clean and area_xx)."""
    series = []
    for method in methods_of(results):
        conditions = conditions_with(results, "identification", "rank1", [method])
        points = sorted((a, c) for c in conditions if (a := area_of(c)) is not None)
        figures = [f for _, c in points if (f := estimate(results, method, "identification", c, "rank1"))]
        if figures:
            series.append(Series(method, tuple(a for a, _ in points), tuple(figures)))
    return tuple(series)


def line_colour(method: str, index: int, *, dark: bool = False) -> Colour:
    """The colour of a method's line; a foreign method takes the colour of its place."""
    lines = (DARK if dark else LIGHT).lines
    return lines[_PLACES.get(method, index) % len(lines)]


def draw_curves(
    series: Sequence[Series], *, dark: bool = False, size: tuple[int, int] = (1600, 900), title: str = ""
) -> Image.Image:
    """The figure at `size` (width, height) pixels: lines with markers, interval bands, a name at each line's end.

    Raises `DataError` when there is no line to draw.
    """
    if not series or not all(s.area for s in series):
        raise DataError("there is no curve to draw; results need rank-1 on clean or on an area_xx condition")
    canvas = _Canvas(series, size, DARK if dark else LIGHT, title)
    canvas.draw_axes()
    colours = [line_colour(s.method, i, dark=dark) for i, s in enumerate(series)]
    for s, colour in zip(series, colours, strict=True):
        canvas.draw_band(s, colour)
    for index, (s, colour) in enumerate(zip(series, colours, strict=True)):
        canvas.draw_line(s, colour, index)
    canvas.draw_names(series, colours)
    return canvas.image.resize(size, Image.Resampling.LANCZOS)


def spread(wanted: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Move positions apart until neighbours are `gap` apart, as little as needed, inside low..high if that fits."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    groups: list[tuple[list[int], float]] = []  # members in order, and where the first one goes

    def start(members: list[int]) -> float:
        mean = sum(wanted[i] - n * gap for n, i in enumerate(members)) / len(members)
        return max(low, min(mean, high - (len(members) - 1) * gap))

    for i in order:
        groups.append(([i], start([i])))
        while len(groups) > 1 and groups[-1][1] < groups[-2][1] + len(groups[-2][0]) * gap:
            members = groups[-2][0] + groups.pop()[0]
            groups[-1] = (members, start(members))
    placed = {i: first + n * gap for members, first in groups for n, i in enumerate(members)}
    return [placed[i] for i in range(len(wanted))]


class _Canvas:
    """A supersampled picture and the axes on it."""

    def __init__(self, series: Sequence[Series], size: tuple[int, int], theme: Theme, title: str):
        s = _SUPERSAMPLE
        self.theme, self.title, self.unit = theme, title, s
        self.font = ImageFont.load_default(_FONT * s)
        self.image = Image.new("RGB", (size[0] * s, size[1] * s), theme.paper)
        self.drawing = ImageDraw.Draw(self.image)
        self.areas = sorted({a for one in series for a in one.area})
        lowest = min(e.low for one in series for e in one.rank1)
        self.bottom_value = min(0.8, math.floor(5 * max(0.0, lowest)) / 5)
        names = max(self.font.getlength(_end_label(one)) for one in series)
        self.left, self.right = 92.0 * s, self.image.width - names - 62 * s
        self.top, self.bottom = (96.0 if title else 72.0) * s, self.image.height - 96.0 * s

    def at(self, area: float, value: float) -> Point:
        first, last = self.areas[0], self.areas[-1]
        x = (area - first) / (last - first) if last > first else 0.5
        y = (value - self.bottom_value) / (1 - self.bottom_value)
        return self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top)

    def draw_axes(self) -> None:
        s, theme = self.unit, self.theme
        head = f"{self.title}  " if self.title else ""
        self.drawing.text((18 * s, 18 * s), f"{head}rank-1, % of faces named correctly", fill=theme.ink, font=self.font)
        steps = round((1 - self.bottom_value) * 10)
        for step in range(0, steps + 1, 2 if steps > 5 else 1):
            value = self.bottom_value + step / 10
            _, y = self.at(self.areas[0], value)
            self.drawing.line((self.left - 18 * s, y, self.right + 18 * s, y), fill=theme.grid, width=2 * s)
            label = f"{100 * value:.0f}"
            self.drawing.text((self.left - 32 * s, y), label, fill=theme.faint, font=self.font, anchor="rm")
        for area in self.areas:
            x, _ = self.at(area, self.bottom_value)
            label = "clean" if area == 0 else f"{100 * area:.0f}"
            self.drawing.text((x, self.bottom + 16 * s), label, fill=theme.faint, font=self.font, anchor="mt")
        middle, low = (self.left + self.right) / 2, self.image.height - 16 * s
        self.drawing.text((middle, low), "covered area, % of the picture", fill=theme.ink, font=self.font, anchor="mb")

    def draw_band(self, series: Series, colour: Colour) -> None:
        upper = [self.at(a, e.high) for a, e in zip(series.area, series.rank1, strict=True)]
        lower = [self.at(a, e.low) for a, e in zip(series.area, series.rank1, strict=True)]
        mask = Image.new("L", self.image.size, 0)
        if len(upper) > 1:
            ImageDraw.Draw(mask).polygon([*upper, *reversed(lower)], fill=38)
        else:  # one point has no band: a bar
            ImageDraw.Draw(mask).line([upper[0], lower[0]], fill=120, width=6 * self.unit)
        self.image.paste(colour, (0, 0), mask)
        self.drawing = ImageDraw.Draw(self.image)

    def draw_line(self, series: Series, colour: Colour, index: int) -> None:
        shape = _PLACES.get(series.method, index) % len(_CORNERS)
        points = [self.at(a, e.value) for a, e in zip(series.area, series.rank1, strict=True)]
        self.drawing.line(points, fill=colour, width=5 * self.unit, joint="curve")
        for x, y in points:
            self._marker(x, y, shape, 13 * self.unit, self.theme.paper)  # a rim keeps crossing lines apart
            self._marker(x, y, shape, 10 * self.unit, colour)

    def _marker(self, x: float, y: float, shape: int, r: float, colour: Colour) -> None:
        corners, turn = _CORNERS[shape]
        if not corners:
            self.drawing.ellipse((x - r, y - r, x + r, y + r), fill=colour)
            return
        angles = [math.radians(turn + 360 * i / corners) for i in range(corners)]
        r *= 1.25
        self.drawing.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for a in angles], fill=colour)

    def draw_names(self, series: Sequence[Series], colours: Sequence[Colour]) -> None:
        s = self.unit
        ends = [self.at(one.area[-1], one.rank1[-1].value) for one in series]
        heights = spread([y for _, y in ends], gap=1.3 * _FONT * s, low=self.top, high=self.bottom)
        x = self.right + 48 * s
        for one, colour, end, y in zip(series, colours, ends, heights, strict=True):
            self.drawing.line([(end[0] + 16 * s, end[1]), (x - 8 * s, y)], fill=colour, width=2 * s)
            self.drawing.text((x, y), _end_label(one), fill=colour, font=self.font, anchor="lm")


def _end_label(series: Series) -> str:
    return f"{method_name(series.method)}  {100 * series.rank1[-1].value:.1f}"
