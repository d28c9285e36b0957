"""Drawing occluders as coloured polygons: resolution-free, tilted for nothing, anti-aliased when rendered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from ..images.pixels import Pixels

Points: TypeAlias = NDArray[np.float64]  # (n, 2) x, y in the drawing's own units; y points down
Colour: TypeAlias = tuple[int, int, int]

SUPERSAMPLING = 3


# -- colours -----------------------------------------------------------------------------------
def any_colour(rng: Generator, *, low: float = 15, high: float = 240) -> Colour:
    """A random colour with every channel between `low` and `high`."""
    red, green, blue = rng.uniform(low, high, 3)
    return int(red), int(green), int(blue)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour times `factor`: below 1 darker, above 1 lighter."""
    return (
        min(255, max(0, int(colour[0] * factor))),
        min(255, max(0, int(colour[1] * factor))),
        min(255, max(0, int(colour[2] * factor))),
    )


def blend(first: Colour, second: Colour, amount: float) -> Colour:
    """`first` at 0, `second` at 1."""
    mixed = [int((1 - amount) * a + amount * b) for a, b in zip(first, second, strict=True)]
    return mixed[0], mixed[1], mixed[2]


# -- outlines ----------------------------------------------------------------------------------
def ellipse(x: float, y: float, rx: float, ry: float, *, power: float = 2.0, num: int = 28) -> Points:
    """An ellipse; a larger `power` makes it squarer (a Lame curve)."""
    turn = np.linspace(0, 2 * np.pi, num, endpoint=False)
    c, s = np.cos(turn), np.sin(turn)
    if power != 2.0:
        c = np.sign(c) * np.abs(c) ** (2 / power)
        s = np.sign(s) * np.abs(s) ** (2 / power)
    return np.stack([x + rx * c, y + ry * s], axis=1)


def box(x0: float, y0: float, x1: float, y1: float, *, radius: float = 0.0) -> Points:
    """An upright rectangle, with rounded corners when `radius` is given."""
    if radius == 0:
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    turn = np.linspace(0, np.pi / 2, 6)
    arc = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)  # of the corner at (x1, y1)
    left, right, top, bottom = x0 + radius, x1 - radius, y0 + radius, y1 - radius
    return np.concatenate(
        [arc + (right, bottom), _turned(arc) + (left, bottom), -arc + (left, top), -_turned(arc) + (right, top)]
    )


def _turned(arc: Points) -> Points:
    return np.stack([-arc[:, 1], arc[:, 0]], axis=1)


def curve(through: ArrayLike, *, num: int = 8) -> Points:
    """A smooth line through the given points (Catmull-Rom), `num` points a piece."""
    p = np.asarray(through, np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, num, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    pieces = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([pieces.transpose(1, 0, 2).reshape(-1, 2), p[-2:-1]])


def band(line: ArrayLike, thickness: float | Points, *, closed: bool = False) -> Points:
    """The outline of a line drawn with a pen of that thickness (a number, or one a point)."""
    p = np.asarray(line, np.float64)
    if closed:
        p = np.concatenate([p, p[:1]])
        along = np.roll(p[:-1], -1, 0) - np.roll(p[:-1], 1, 0)
        along = np.concatenate([along, along[:1]])
    else:
        along = np.gradient(p, axis=0)
    normal = _turned(along) / np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    side = normal * np.broadcast_to(np.asarray(thickness) / 2, (len(p),))[:, None]
    return np.concatenate([p + side, (p - side)[::-1]])


def capsule(start: ArrayLike, end: ArrayLike, radius: float, tip: float) -> Points:
    """A finger's outline: flat at `start`, as thick as two radii there, and rounded with radius `tip` at `end`."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    ahead = (b - a) / np.hypot(*(b - a))
    across = np.array([-ahead[1], ahead[0]])
    turn = np.linspace(-np.pi / 2, np.pi / 2, 9)[:, None]
    cap = b + tip * (np.cos(turn) * ahead + np.sin(turn) * across)
    return np.concatenate([[a - radius * across], cap, [a + radius * across]])


# -- the sketch --------------------------------------------------------------------------------
class Sketch:
    """Polygons in the order they are painted; `render` brings them to pixels."""

    def __init__(self) -> None:
        self._polygons: list[tuple[Points, Colour]] = []

    def fill(self, outline: Points, colour: Colour) -> None:
        """Paint the inside of an outline over what is already there."""
        self._polygons.append((outline, colour))

    def mirror(self) -> None:
        """Exchange left and right."""
        self._polygons = [(points * (-1, 1), colour) for points, colour in self._polygons]

    def tilt(self, degrees: float) -> None:
        """Turn everything clockwise."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.array([[c, s], [-s, c]])
        self._polygons = [(points @ turn, colour) for points, colour in self._polygons]

    def bend(self, warp: Callable[[Points], Points]) -> None:
        """Move every corner to where `warp` says, (n, 2) -> (n, 2)."""
        self._polygons = [(warp(points), colour) for points, colour in self._polygons]

    def render(self, width: int) -> Pixels:
        """RGBA pixels (h, width, 4), as wide as the sketch's widest extent; alpha is the share of a pixel covered."""
        everything = np.concatenate([points for points, _ in self._polygons])
        low, high = everything.min(0), everything.max(0)
        scale = width / (high[0] - low[0])
        height = max(1, round((high[1] - low[1]) * scale))
        return self._painted(height, width, low, np.array([scale, height / (high[1] - low[1])]))

    def paint(self, height: int, width: int) -> Pixels:
        """RGBA pixels (height, width, 4) of a sketch whose unit is a pixel, cut off at the frame's edges."""
        return self._painted(height, width, np.zeros(2), np.ones(2))

    def _painted(self, height: int, width: int, origin: Points, scale: Points) -> Pixels:
        picture = Image.new("RGBA", (width * SUPERSAMPLING, height * SUPERSAMPLING))
        draw = ImageDraw.Draw(picture)
        for points, colour in self._polygons:
            # a pixel's centre lies half a pixel in, and Pillow paints the pixels an edge touches
            corners = (points - origin) * (SUPERSAMPLING * scale) - 0.5
            draw.polygon(corners.ravel().tolist(), fill=(*colour, 255))
        return np.array(picture.reduce(SUPERSAMPLING))


def lit(pixels: Pixels, rng: Generator, *, strength: float = 0.25) -> Pixels:
    """Light from a random side, and a little grain: RGBA in, RGBA out, alpha unchanged."""
    height, width = pixels.shape[:2]
    turn = rng.uniform(0, 2 * np.pi)
    y = np.linspace(-np.sin(turn), np.sin(turn), height, dtype=np.float32)[:, None]
    x = np.linspace(-np.cos(turn), np.cos(turn), width, dtype=np.float32)
    light = 1 + strength * (x + y) / 2 + 0.02 * rng.standard_normal((height, width), dtype=np.float32)
    out = pixels.copy()
    out[..., :3] = np.clip(pixels[..., :3] * light[..., None], 0, 255)
    return out
