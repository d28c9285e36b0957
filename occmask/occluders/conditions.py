"""The conditions a model is tested under, each drawn from occluders that no model was trained on."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, ShapeError, UnknownNameError
from ..images.pixels import Pixels
from ..spec import Spec
from .occlude import AreaPlacement, Occlusions, WornPlacement, clean
from .textures import TEST_TEXTURES

AREAS = {f"area_{percent}": percent / 100 for percent in (10, 20, 30, 40, 50)}
WORN = ("sunglasses", "mouth_mask", "scarf", "hand", "cup")
CONDITIONS: tuple[str, ...] = ("clean", *AREAS, *WORN)


class Probes(NamedTuple):
    """N faces under one condition, and where they are covered."""

    images: Pixels  # (N, H, W, 3)
    box: NDArray[np.float32]  # (N, 4) x0 y0 x1 y1 divided by W H W H; all zero = nothing is covered
    covered: NDArray[np.bool_]  # (N, H, W)


class Condition(NamedTuple):
    """One way of covering every probe; None covers nothing."""

    name: str
    occlusion: Occlusions | None


def cover_probes(images: Pixels, condition: str, *, seed: int, grey: bool) -> Probes:
    """The pictures uint8 (N, H, W, 3) under one of `CONDITIONS`.

    `area_40` covers 40 % of each face with a rectangle of a test texture; `sunglasses` and the like are
    worn where they belong.  Picture i depends on (seed, condition, i) alone.  `grey` takes the occluders'
    colour away.  Raises `UnknownNameError` for the condition.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ShapeError(f"pictures are uint8 (N, H, W, 3), not {images.dtype} {images.shape}")
    if not 0 <= seed < 2**32:
        raise OptionError(f"seed is a whole number in 0 .. 2**32 - 1, not {seed!r}")
    return cover(images, Condition(condition, _occlusion(condition)), first=0, seed=seed, grey=grey)


def cover(images: Pixels, condition: Condition, *, first: int, seed: int, grey: bool) -> Probes:
    """Pictures uint8 (n, H, W, 3), the probes number `first` and following, under one condition.

    Probe i depends on (seed, condition's name, i) alone, so every model, in batches of any size, sees the same.
    """
    out = Probes(
        images.copy(), np.zeros((len(images), 4), np.float32), np.zeros((len(images), *images.shape[1:3]), bool)
    )
    for i, image in enumerate(images):
        rng = np.random.default_rng((seed, zlib.crc32(condition.name.encode()), first + i))
        face = clean(image) if condition.occlusion is None else condition.occlusion(image, rng, grey=grey)
        out.images[i], out.box[i], out.covered[i] = face
    return out


def _occlusion(condition: str) -> Occlusions | None:
    if condition == "clean":
        return None
    if condition in AREAS:
        rectangle = Spec("rectangle", textures=tuple(TEST_TEXTURES))
        return Occlusions((rectangle,), AreaPlacement(AREAS[condition]), share=1)
    if condition in WORN:
        return Occlusions((condition,), WornPlacement(), share=1)
    raise UnknownNameError("condition", condition, CONDITIONS)
