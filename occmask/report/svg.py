"""Charts as inline SVG: coordinates, axes, lines, bands and bars, coloured by the page's own variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 360.0, 250.0  # of a chart, in the units of its letters: it fills a phone at its natural size
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 12.0, 26.0, 40.0

Scale = Callable[[float], float]  # a value -> 0..1 along its axis


def linear(low: float, high: float) -> Scale:
    """`low` at 0 and `high` at 1."""
    return lambda value: (value - low) / (high - low) if high > low else 0.5


def logarithmic(low: float, high: float) -> Scale:
    """Powers of ten at equal distances; what is below `low` stays at 0."""
    return lambda value: math.log10(max(value, low) / low) / math.log10(high / low)


@dataclass
class Plot:
    """A frame with two axes; everything drawn on it is in the units of those axes."""

    x: Scale
    y: Scale
    parts: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the picture."""
        return (
            _LEFT + self.x(x) * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - self.y(y) * (HEIGHT - _TOP - _BOTTOM),
        )

    def axes(
        self, *, x: Sequence[tuple[float, str]], y: Sequence[tuple[float, str]], x_title: str, y_title: str
    ) -> None:
        """Labelled ticks (value, label), a rule for each tick of y, and what the axes are."""
        floor = HEIGHT - _BOTTOM
        for value, label in y:
            height = self.at(0, value)[1]
            self.parts.append(
                f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
            )
            self.parts.append(label_at(_LEFT - 6, height + 4, label, anchor="end", kind="tick"))
        for value, label in x:
            across = self.at(value, 0)[0]
            self.parts.append(f'<line class="rule" x1="{across:.1f}" x2="{across:.1f}" y1="{floor}" y2="{floor + 4}"/>')
            self.parts.append(label_at(across, floor + 16, label, anchor="middle", kind="tick"))
        self.parts.append(label_at(0, 12, y_title, kind="axis"))
        self.parts.append(label_at((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, x_title, anchor="middle", kind="axis"))

    def line(self, x: Sequence[float], y: Sequence[float], *, colour: int, markers: bool = False) -> None:
        """A line through the points, in one of the page's colours."""
        points = [self.at(a, b) for a, b in zip(x, y, strict=True)]
        self.parts.append(f'<path class="line c{colour}" d="{_path(points)}"/>')
        if markers:
            self.parts += [f'<circle class="dot c{colour}" cx="{a:.1f}" cy="{b:.1f}" r="3.6"/>' for a, b in points]

    def band(self, x: Sequence[float], low: Sequence[float], high: Sequence[float], *, colour: int) -> None:
        """The area between two lines."""
        upper = [self.at(a, b) for a, b in zip(x, high, strict=True)]
        lower = [self.at(a, b) for a, b in zip(x, low, strict=True)]
        self.parts.append(f'<path class="area c{colour}" d="{_path([*upper, *reversed(lower)])}Z"/>')

    def drawn(self, alt: str) -> str:
        """The chart as an SVG element; `alt` says in words what it shows."""
        return svg(WIDTH, HEIGHT, "".join(self.parts), alt)


def svg(width: float, height: float, content: str, alt: str) -> str:
    """An SVG element that takes the width it is given."""
    return f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">{content}</svg>'


def label_at(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "tick") -> str:
    """Words whose base line is at y."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def percent_ticks(low: float) -> list[tuple[float, str]]:
    """From `low` (a multiple of 0.1) to 1 in steps that leave room for the labels."""
    steps = max(1, round((1 - low) * 10))
    every = 1 if steps <= 5 else 2
    return [(1 - n / 10, f"{100 - 10 * n}") for n in range(0, steps + 1, every)]


def floor_of(values: Sequence[float]) -> float:
    """Where an axis of shares begins: the tenth below the lowest value, at most 0.8."""
    return min(0.8, max(0.0, math.floor(10 * min(values) + 1e-9) / 10)) if len(values) else 0.0


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
