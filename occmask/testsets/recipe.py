"""What a recipe for a test set is: one face in, one covered face out, from a random generator of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..errors import OptionError
from ..images.pixels import Pixels
from ..occluders.occluder import TRAIN_OCCLUDERS, VARIED_OCCLUDERS
from ..occluders.regions import Box
from ..occluders.textures import TRAIN_TEXTURES
from ..spec import Spec


class Face(NamedTuple):
    """An aligned face and its five points, in the order of `template_points`."""

    image: Pixels  # (H, W, 3)
    points: NDArray[np.float64]  # (5, 2) x and y, in pixels


class Made(NamedTuple):
    """A face of a test set."""

    image: Pixels  # (H, W, 3)
    covered: NDArray[np.bool_]  # (H, W), True where the face cannot be seen
    occluder: str  # what hides it, "" for a clean face
    crop: Box | None = None  # the visible part, when that is to be kept as a picture of its own too


class Recipe(Protocol):
    """An object built as `factory(**options)`.

    `condition` names what is done, such as "area_40": with the seed and a picture's name it decides the
    picture's random numbers.  `occluders` are those that it draws from.
    """

    condition: str
    occluders: Sequence[Spec]

    def __call__(self, face: Face, rng: Generator) -> Made: ...


def random_of(seed: int, condition: str, name: str) -> Generator:
    """The generator of one picture; it depends on these three alone, not on the other pictures or their order."""
    if not 0 <= seed < 2**32:
        raise OptionError(f"seed is a whole number in 0 .. 2**32 - 1, not {seed!r}")
    key = json.dumps([seed, condition, name]).encode()
    return np.random.default_rng(np.frombuffer(hashlib.sha256(key).digest(), "<u4"))


def training_note(occluders: Sequence[Spec]) -> str:
    """A sentence for the manifest when models may have trained on some of the occluders; "" when none did here."""
    classes = {spec.name for spec in (*TRAIN_OCCLUDERS, *VARIED_OCCLUDERS)} - {"rectangle"}
    seen = sorted({spec.name for spec in occluders} & classes)
    textures = [texture for spec in occluders for texture in _textures(spec)]
    seen += [f"rectangle of {texture}" for texture in TRAIN_TEXTURES if texture in textures]
    note = f"models may have been trained on these occluders: {', '.join(seen)}" if seen else ""
    if any(spec.name == "pictures" for spec in occluders):
        note += "; " if note else ""
        note += "whether a model was trained on the occluder pictures is not known here"
    return note


def _textures(spec: Spec) -> Sequence[str]:
    return spec.options.get("textures", tuple(TRAIN_TEXTURES)) if spec.name == "rectangle" else ()
