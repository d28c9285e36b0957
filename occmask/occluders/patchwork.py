"""Patchwork: pieces of mixed textures in generic outlines, as different as one generator can make them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ..errors import OptionError, UnknownNameError
from ..images.pixels import Pixels
from .occluder import Worn
from .outlines import OUTLINES
from .sketch import Sketch, lit
from .textures import TEXTURES, TRAIN_TEXTURES, cut

OPAQUE_ENOUGH = 128  # of alpha: see `occlude.OPAQUE`


class Patchwork:
    """Something nobody has seen before: textures mixed in pairs, relit and blurred, in a generic outline.

    For training a predictor of what is covered, which must know a cover by its not being face.  `textures`: names of
    those that are mixed; `outlines`: names of those of `occmask.occluders.outlines` that are drawn; `blur`: largest
    softness of the edge, in pixels.
    Raises `UnknownNameError` for a texture or an outline that does not exist, `OptionError` for what cannot be.
    """

    worn = Worn(0.5, 0.6, 0.5, jitter=0.12, stretch=0.4)

    def __init__(
        self,
        *,
        textures: Sequence[str] = tuple(TRAIN_TEXTURES),
        outlines: Sequence[str] = tuple(OUTLINES),
        blur: float = 1.2,
    ):
        for option, names, known in (("texture", textures, TEXTURES), ("outline", outlines, OUTLINES)):
            if isinstance(names, str) or not len(names):
                raise OptionError(
                    f"{option}s is a sequence of at least one name, such as {[*known][:1]}, not {names!r}"
                )
            for name in names:
                if name not in known:
                    raise UnknownNameError(option, str(name), known)
        if not blur >= 0:
            raise OptionError(f"blur is a number of pixels, zero or more, not {blur!r}")
        self.textures, self.outlines, self.blur = tuple(textures), tuple(outlines), float(blur)

    def draw(self, rng: Generator, width: int) -> Pixels:
        height = max(1, round(width * 2.0 ** rng.uniform(-1, 1)))
        outline = OUTLINES[self.outlines[int(rng.integers(len(self.outlines)))]]
        pieces = outline(rng)
        one_texture = rng.random() < 0.7
        out = self.fill(rng, height, width)
        hidden = np.zeros((height, width), np.uint8)
        for index, piece in enumerate(pieces):
            alpha = _alpha(piece, height, width)
            if index and not one_texture:
                out[..., :3] = np.where(alpha[..., None] >= OPAQUE_ENOUGH, self.fill(rng, height, width), out)[..., :3]
            hidden = np.maximum(hidden, alpha)
        if self.blur and rng.random() < 0.5:
            softened = Image.fromarray(hidden).filter(ImageFilter.GaussianBlur(self.blur * rng.random()))
            if np.asarray(softened).max() >= OPAQUE_ENOUGH:  # a hair would melt away
                hidden = np.asarray(softened)
        if hidden.max() < OPAQUE_ENOUGH:  # too thin for this width: something has to be hidden
            hidden = np.full_like(hidden, 255)
        out[..., 3] = hidden
        return out

    def fill(self, rng: Generator, height: int, width: int) -> Pixels:
        out = np.full((height, width, 4), 255, np.uint8)
        out[..., :3] = mixed(self.textures, rng, height, width)
        return lit(out, rng, strength=rng.uniform(0, 0.5)) if rng.random() < 0.6 else out


def mixed(names: Sequence[str], rng: Generator, height: int, width: int) -> Pixels:
    """One texture or a mixture of two, uint8 (height, width, 3): each turned, then contrast, gamma, blur and grain."""
    field: NDArray[np.floating] = _piece(names, rng, height, width)
    if rng.random() < 0.5:
        other = _piece(names, rng, height, width)
        if rng.random() < 0.5:
            share = rng.uniform(0.2, 0.8)
            field = share * field + (1 - share) * other
        else:  # one shows through the dark parts of another
            field = np.where(field.mean(-1, keepdims=True) < rng.uniform(0.25, 0.6), other, field)
    if rng.random() < 0.3:
        radius = rng.uniform(0.4, 2.5)
        picture = Image.fromarray((field * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
        field = np.asarray(picture, np.float32) / 255
    if rng.random() < 0.7:  # anything from hardly a texture to all the contrast there is
        low = rng.uniform(0, 0.85)
        high = rng.uniform(low + 0.03, 1)
        field = low + np.clip(field, 0, 1) ** rng.uniform(0.5, 2) * (high - low)
    if rng.random() < 0.3:
        field = field + rng.normal(0, rng.uniform(0, 0.06), (height, width, 1)).astype(np.float32)
    pixels: Pixels = np.clip(field * 255, 0, 255).astype(np.uint8)
    return pixels


def _piece(names: Sequence[str], rng: Generator, height: int, width: int) -> NDArray[np.float32]:
    """A piece of a random texture in [0, 1], turned by a multiple of 90 degrees, or a small one again and again."""
    name = names[int(rng.integers(len(names)))]
    if rng.random() < 0.35:
        return _repeated(name, rng, height, width)
    quarter = int(rng.integers(4))
    size = (width, height) if quarter % 2 else (height, width)
    turned: NDArray[np.float32] = np.rot90(cut(name, rng, *size), quarter).astype(np.float32)
    return turned / np.float32(255)


def _repeated(name: str, rng: Generator, height: int, width: int) -> NDArray[np.float32]:
    """A small piece of a texture as a tile, every other one of which may be mirrored, inverted or set off."""
    tall, wide = (int(n) for n in rng.integers(4, 29, 2))
    tile = cut(name, rng, tall, wide).astype(np.float32) / np.float32(255)
    kind = int(rng.integers(4))
    other = (tile, tile[:, ::-1], 1 - tile, np.roll(tile, tall // 2, 0))[kind]
    pair = np.concatenate([tile, other], axis=1)
    below = pair if rng.random() < 0.5 else np.roll(pair, wide, 1)
    block = np.concatenate([pair, below])
    repeats = (-(-height // len(block)), -(-width // block.shape[1]), 1)
    return np.tile(block, repeats)[:height, :width]


def _alpha(piece: NDArray[np.float64], height: int, width: int) -> NDArray[np.uint8]:
    sketch = Sketch()
    sketch.fill(piece * (width, height), (0, 0, 0))
    return sketch.paint(height, width)[..., 3]
