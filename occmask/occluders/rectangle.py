"""Textured rectangles."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from ..errors import OptionError, UnknownNameError
from ..images.pixels import Pixels
from .occluder import Worn
from .textures import TEXTURES, TRAIN_TEXTURES, cut


class Rectangle:
    """An opaque rectangle filled with one of the named textures; half to twice as tall as it is wide.

    Raises `UnknownNameError` for a texture that does not exist.
    """

    worn = Worn(0.5, 0.6, 0.5, jitter=0.12, stretch=0.4)

    def __init__(self, *, textures: tuple[str, ...] = tuple(TRAIN_TEXTURES)):
        if isinstance(textures, str) or not textures:
            raise OptionError(f"textures is a sequence of texture names, such as ('solid',), not {textures!r}")
        for name in textures:
            if name not in TEXTURES:
                raise UnknownNameError("texture", str(name), TEXTURES)
        self.textures = tuple(textures)

    def draw(self, rng: Generator, width: int) -> Pixels:
        aspect = 2.0 ** rng.uniform(-1, 1)
        return self.fill(rng, max(1, round(width * aspect)), width)

    def fill(self, rng: Generator, height: int, width: int) -> Pixels:
        name = self.textures[int(rng.integers(len(self.textures)))]
        out = np.full((height, width, 4), 255, np.uint8)
        out[..., :3] = cut(name, rng, height, width)
        return out
