"""Sunglasses and eyeglasses."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from ..images.pixels import Pixels
from .occluder import Worn
from .sketch import Colour, Points, Sketch, any_colour, band, blend, box, curve, ellipse, lit, shade

_METALS: tuple[Colour, ...] = ((196, 164, 92), (176, 178, 184), (90, 90, 96), (38, 38, 42))


def _lens(rng: Generator) -> Points:
    """The outline of the right lens around (0, 0), one unit wide, in one of the usual cuts."""
    power = (2.0, 2.4, 3.2, 5.0)[int(rng.integers(4))]
    lens = ellipse(0, 0, 0.5, rng.uniform(0.36, 0.46) if power < 3 else rng.uniform(0.3, 0.38), power=power, num=32)
    droop = rng.uniform(0, 0.16)  # aviators hang lower and narrower towards the bottom
    lens[:, 0] *= 1 - droop * (lens[:, 1] > 0) * lens[:, 1] / 0.4
    lens[:, 1] *= 1 + droop * (lens[:, 1] > 0)
    return lens


def _both(right: Points, apart: float) -> tuple[Points, Points]:
    return right * (-1, 1) - (apart, 0), right + (apart, 0)


class Sunglasses:
    """Two dark lenses in a frame, with a bridge and the beginnings of the temples."""

    worn = Worn(0.5, 0.475, 0.78)

    def draw(self, rng: Generator, width: int) -> Pixels:
        lens, apart = _lens(rng), rng.uniform(0.56, 0.62)
        glass = any_colour(rng, low=8, high=48)
        metal = rng.random() < 0.3
        frame = (
            _METALS[int(rng.integers(4))] if metal else any_colour(rng, low=5, high=70 if rng.random() < 0.8 else 190)
        )
        rim = 1.06 if metal else rng.uniform(1.12, 1.26)
        pen = 0.05 if metal else 0.12
        sketch = Sketch()
        for side in (-1, 1):
            out = side * (apart + 0.42)
            temple = curve([(out, -0.2), (out + side * 0.14, -0.22), (out + side * 0.22, -0.17)], num=4)
            sketch.fill(band(temple, max(pen, 3.2 / width)), shade(frame, 0.85))
        bridge = curve([(-apart + 0.4, -0.1), (0, -0.2), (apart - 0.4, -0.1)])
        sketch.fill(band(bridge, max(pen, 3.2 / width)), frame)
        for side, outline in zip((-1, 1), _both(lens, apart), strict=True):
            centre = np.array([side * apart, 0.0])
            sketch.fill((outline - centre) * rim + centre, frame)
            sketch.fill(outline, glass)
            bottom = outline[:, 1].max()
            for step in range(1, 5):  # the tint is lighter towards the cheek
                lower = np.maximum(outline, (-np.inf, bottom * (0.9 * step / 2.5 - 0.6)))
                sketch.fill(lower, blend(glass, (150, 140, 130), 0.055 * step))
            arc = np.linspace(3.5, 4.5, 7)
            glint = centre + np.stack([0.34 * np.cos(arc), 0.26 * np.sin(arc)], axis=1)
            sketch.fill(band(glint, 0.07 * np.sin(np.linspace(0.2, 2.9, 7))), blend(glass, (255, 255, 255), 0.45))
        sketch.tilt(rng.normal(0, 2))
        return lit(sketch.render(width), rng, strength=0.12)


class Eyeglasses:
    """A thin frame; the lenses hide nothing, so only the rim is covered."""

    worn = Worn(0.5, 0.475, 0.78)

    def draw(self, rng: Generator, width: int) -> Pixels:
        lens, apart = _lens(rng), rng.uniform(0.56, 0.62)
        frame = _METALS[int(rng.integers(4))] if rng.random() < 0.5 else any_colour(rng, low=5, high=120)
        pen = max(rng.uniform(0.05, 0.13), 1.7 * 2.4 / width)  # a rim thinner than that would cover no whole pixel
        sketch = Sketch()
        for side, outline in zip((-1, 1), _both(lens, apart), strict=True):
            out = side * (apart + 0.48)
            temple = curve([(out, -0.2), (out + side * 0.1, -0.22), (out + side * 0.18, -0.16)], num=4)
            sketch.fill(band(temple, pen), shade(frame, 0.85))
            sketch.fill(band(outline, pen, closed=True), frame)
            sketch.fill(box(out - 0.05, -0.27, out + 0.05, -0.13), shade(frame, 1.25))
        sketch.fill(band(curve([(-apart + 0.48, -0.08), (0, -0.17), (apart - 0.48, -0.08)]), pen), frame)
        sketch.tilt(rng.normal(0, 2))
        return lit(sketch.render(width), rng, strength=0.15)
