"""What is worn over the lower face: mouth masks and scarves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.random import Generator

from ..images.pixels import Pixels
from .occluder import Worn
from .sketch import Colour, Sketch, any_colour, band, blend, box, curve, lit, shade
from .textures import cut

_CLOTH: tuple[Colour, ...] = (
    (152, 196, 222),  # surgical blue
    (176, 208, 228),
    (166, 210, 190),  # surgical green
    (238, 240, 242),
    (246, 246, 240),
    (44, 46, 52),
    (226, 176, 190),
)


class MouthMask:
    """A pleated mask over nose, mouth and chin, with its nose wire and ear loops."""

    worn = Worn(0.5, 0.745, 0.8)

    def draw(self, rng: Generator, width: int) -> Pixels:
        cloth = _CLOTH[int(rng.integers(len(_CLOTH)))] if rng.random() < 0.8 else any_colour(rng, low=40)
        dark, light = shade(cloth, 0.74), blend(cloth, (255, 255, 255), 0.4)
        loop = (244, 244, 244) if sum(cloth) > 200 else (70, 70, 74)
        nose, chin, jaw = rng.uniform(0.08, 0.2), rng.uniform(0.12, 0.22), rng.uniform(0.6, 0.72)
        top = curve([(-0.92, -0.5), (-0.45, -0.6), (0, -0.62 - nose), (0.45, -0.6), (0.92, -0.5)])
        bottom = curve([(jaw, 0.52), (0.36, 0.68), (0, 0.62 + chin), (-0.36, 0.68), (-jaw, 0.52)])
        pen = max(0.05, 3.4 / width)
        sketch = Sketch()
        for side in (-1, 1):
            ear = [(0.88, -0.44), (1.08, -0.6), (1.2, -0.42), (1.13, 0.0), (jaw, 0.46)]
            sketch.fill(band(curve(np.array(ear) * (side, 1)), pen), loop)
        sketch.fill(np.concatenate([top, bottom]), cloth)
        for y in np.linspace(-0.26, 0.34, int(rng.integers(3, 5))):
            edge = 0.86 + (jaw - 0.86) * (y + 0.5)
            fold = curve([(-edge, y), (-edge / 2, y + 0.07), (0, y + 0.1), (edge / 2, y + 0.07), (edge, y)])
            sketch.fill(band(fold + (0, 0.05), 0.06), light)
            sketch.fill(band(fold, 0.06), dark)
        for side in (-1, 1):  # the stitched edges
            sketch.fill(band(np.array([(0.9, -0.5), (jaw - 0.02, 0.53)]) * (side, 1), 0.07), shade(cloth, 0.86))
        sketch.fill(band(top + (0, 0.045), 0.08), light)
        sketch.fill(band(bottom - (0, 0.03), 0.06), shade(cloth, 0.86))
        sketch.tilt(rng.normal(0, 2))
        return lit(sketch.render(width), rng, strength=0.18)


class Scarf:
    """Wool wound around neck and mouth in folds, with a fringed end hanging down."""

    worn = Worn(0.5, 0.91, 1.08, jitter=0.03)

    def draw(self, rng: Generator, width: int) -> Pixels:
        folds, sag = int(rng.integers(2, 4)), rng.uniform(0.02, 0.1)
        sketch = Sketch()  # painted in light and shadow only; the wool gives the colour
        end, tail = rng.uniform(0.05, 0.5), rng.uniform(0.32, 0.42)
        length, lean = rng.uniform(1.15, 1.35), rng.uniform(-0.12, 0.12)
        hang = np.array([(end, 0.3), (end + tail, 0.3), (end + tail + lean, length), (end + lean, length)])
        for strand in np.linspace(0.02, tail - 0.02, 8):
            x = end + lean + strand
            sketch.fill(box(x - 0.016, length - 0.02, x + 0.016, length + rng.uniform(0.1, 0.16)), (200, 200, 200))
        sketch.fill(hang, (215, 215, 215))
        sketch.fill(band(hang[[0, 3]] + (0.02, 0), 0.04), (150, 150, 150))
        edges = np.linspace(0.78, 0, folds + 1)
        for below, above in pairwise(edges):
            slant = rng.uniform(-0.07, 0.07)
            across = np.array([(-1, -sag - slant), (-0.5, 0.02), (0, sag), (0.5, 0.02), (1, -sag + slant)])
            upper, lower = curve(across + (0, above)), curve(across + (0, below + 0.05))
            for shadow, grey in ((0.0, 150), (0.1, 190), (0.25, 222), (0.45, 242)):
                start = upper + (lower - upper) * shadow * 0.4
                finish = lower + (upper - lower) * shadow * 0.8
                sketch.fill(np.concatenate([start, finish[::-1]]), (grey, grey, grey))
        if rng.random() < 0.5:
            sketch.mirror()
        out = sketch.render(width)
        height = out.shape[0]
        wool = cut("knit", rng, height, width)
        out[..., :3] = np.clip(out[..., :3].astype(np.float32) / 225 * wool, 0, 255)
        return lit(out, rng, strength=0.2)
