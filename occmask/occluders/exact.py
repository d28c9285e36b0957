"""Placements of an exact size: a share of the face to the pixel, or a picture enlarged by a factor."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.random import Generator
from PIL import Image

from ..errors import OptionError
from ..images.pixels import Pixels
from .occlude import AreaPlacement, Placed
from .occluder import Occluder, RectangularOccluder


class ExactAreaPlacement(AreaPlacement):
    """`AreaPlacement`, to the pixel: round(share * H * W) pixels of every face are covered.

    A rectangle of that many pixels seldom exists, so the last column of a slightly larger one ends early.
    """

    def __init__(self, share: float):
        super().__init__(share)

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed:
        self.check(occluder)
        assert isinstance(occluder, RectangularOccluder)
        height, width = image_size
        pixels = max(1, round(self.low * height * width))
        least = -(-pixels // width)  # rows, so that the rectangle fits into the width
        shortest, tallest = np.clip((np.sqrt(pixels / 2), np.sqrt(pixels * 2)), least, height)
        tall = int(np.clip(round(shortest * (tallest / shortest) ** rng.random()), least, min(height, pixels)))
        wide = -(-pixels // tall)
        left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - tall + 1))
        filled = occluder.fill(rng, tall, wide).copy()
        spare = tall * wide - pixels  # below `tall`, so the column keeps a pixel and the rectangle its box
        filled[tall - spare :, -1, 3] = 0
        return Placed(filled, left, top)


@runtime_checkable
class NaturalSize(Protocol):
    """An occluder whose drawings have a size of their own."""

    def natural(self, rng: Generator) -> Pixels:
        """RGBA pixels (h, w, 4)."""
        ...


class FactorPlacement:
    """An occluder `factor` times its own size, its centre on any pixel of the face, so that it may hang off it.

    The rule by which FROM made Occ-LFW-f: the new size is min(W - 1, int(f w)) x min(H - 1, int(f h)) for an occluder
    picture of w x h pixels, pasted as an opaque rectangle.  A drawn occluder has no size of its own: its w is a quarter
    of the face's width, its h follows from its shape, and its outline is kept.
    """

    def __init__(self, factor: float):
        if not factor > 0:
            raise OptionError(f"factor is how many times its own size an occluder becomes, above 0, not {factor!r}")
        self.factor = float(factor)

    def check(self, occluder: Occluder) -> None:
        """Any occluder can be placed so."""

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed:
        height, width = image_size
        x, y = int(rng.integers(width)), int(rng.integers(height))
        if isinstance(occluder, NaturalSize):
            pixels = occluder.natural(rng)
            size = int(self.factor * pixels.shape[1]), int(self.factor * pixels.shape[0])
        else:
            wide = max(1, min(width - 1, int(self.factor * width / 4)))
            pixels = occluder.draw(rng, wide)
            size = wide, pixels.shape[0]
        size = max(1, min(width - 1, size[0])), max(1, min(height - 1, size[1]))
        if size != (pixels.shape[1], pixels.shape[0]):
            pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
        return Placed(pixels, x - size[0] // 2, y - size[1] // 2)
