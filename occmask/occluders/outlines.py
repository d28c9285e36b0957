"""Generic outlines for what covers a face: in a unit square, as polygons, a polygon for each piece of the cover."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from .sketch import Points, box, ellipse

Pieces = list[Points]  # each (n, 2), x and y in [0, 1] but for corners that a turn has moved out


def rectangle(rng: Generator) -> Pieces:
    """The whole square, turned a little every other time."""
    outline = box(0, 0, 1, 1)
    return [_turned(outline, rng.normal(0, 12)) if rng.random() < 0.5 else outline]


def rounded(rng: Generator) -> Pieces:
    """An ellipse, or something between one and a rectangle, turned at random."""
    power = (2.0, 2.0, 3.0, 5.0)[int(rng.integers(4))]
    return [_turned(ellipse(0.5, 0.5, 0.5, 0.5, power=power, num=40), rng.uniform(-30, 30))]


def polygon(rng: Generator) -> Pieces:
    """Three to eight corners, in order about the middle."""
    turn = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
    far = rng.uniform(0.4, 0.72, len(turn))
    return [np.stack([0.5 + far * np.cos(turn), 0.5 + far * np.sin(turn)], axis=1)]


def blob(rng: Generator) -> Pieces:
    """A smooth closed line whose distance from the middle varies."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    far = np.full(48, 0.42)
    for wave in (2, 3, 4, 5):
        far += rng.normal(0, 0.09 / np.sqrt(wave)) * np.cos(wave * turn + rng.uniform(0, 2 * np.pi))
    far = np.clip(far, 0.1, 0.6)
    return [np.stack([0.5 + far * np.cos(turn), 0.5 + far * np.sin(turn)], axis=1)]


def bar(rng: Generator) -> Pieces:
    """A band across, a tenth to two fifths as thick as the square, at any angle."""
    half = rng.uniform(0.05, 0.2)
    return [_turned(box(-0.1, 0.5 - half, 1.1, 0.5 + half), rng.uniform(-90, 90))]


def pair(rng: Generator) -> Pieces:
    """Two alike, rounded, one beside the other."""
    power, wide, high = rng.uniform(2, 5), rng.uniform(0.15, 0.23), rng.uniform(0.12, 0.5)
    y = rng.uniform(high, 1 - high)
    return [ellipse(x, y, wide, high, power=power, num=32) for x in (0.25, 0.75)]


def two(rng: Generator) -> Pieces:
    """Two rectangles or ellipses anywhere in the square, which may overlap."""
    pieces = []
    for _ in range(2):
        x, y = np.sort(rng.uniform(0, 1, 2)), np.sort(rng.uniform(0, 1, 2))
        x1, y1 = max(x[1], x[0] + 0.15), max(y[1], y[0] + 0.15)
        if rng.random() < 0.5:
            pieces.append(box(x[0], y[0], x1, y1))
        else:
            pieces.append(ellipse((x[0] + x1) / 2, (y[0] + y1) / 2, (x1 - x[0]) / 2, (y1 - y[0]) / 2, num=32))
    return pieces


def fan(rng: Generator) -> Pieces:
    """Two to five bars side by side that grow out of a block, at any angle."""
    count = int(rng.integers(2, 6))
    root, turn = rng.uniform(0.4, 0.75), rng.uniform(0, 360)
    pitch = 1 / count
    block = box(0, root, 1, 1)
    bars = []
    for index in range(count):
        wide, top = pitch * rng.uniform(0.55, 0.95), rng.uniform(0, 0.3) * root
        left = index * pitch + (pitch - wide) / 2
        bars.append(box(left, top, left + wide, 1, radius=0.0))
    return [np.asarray(_turned(piece, turn)) for piece in (block, *bars)]


OUTLINES: Mapping[str, Callable[[Generator], Pieces]] = MappingProxyType(
    {f.__name__: f for f in (rectangle, rounded, polygon, blob, bar, pair, two, fan)}
)


def _turned(outline: Points, degrees: float) -> Points:
    """About the middle of the square, clockwise."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned: Points = (outline - 0.5) @ np.array([[c, s], [-s, c]]) + 0.5
    return turned
