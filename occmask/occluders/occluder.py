"""What an occluder is, and which of them models train on and are tested on."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from numpy.random import Generator

from ..images.pixels import Pixels
from ..spec import Spec
from .outlines import OUTLINES
from .textures import TEST_TEXTURES, TRAIN_TEXTURES


class Worn(NamedTuple):
    """Where an occluder naturally sits on an aligned 112x96 face, as fractions of that picture.

    In a wider or narrower picture the face has the same place about the middle, and so has what it wears.
    """

    x: float  # its centre, of the picture's width
    y: float  # its centre, of the picture's height
    width: float  # of the picture's width
    jitter: float = 0.02  # standard deviation of the centre, of the picture's width
    stretch: float = 0.06  # largest change of the width, as a share of it


@runtime_checkable
class Occluder(Protocol):
    """An object built as `factory(**options)` that draws something to put before a face."""

    worn: Worn

    def draw(self, rng: Generator, width: int) -> Pixels:
        """RGBA pixels (h, width, 4) at the asked width; alpha / 255 is the share of the pixel that it hides."""
        ...


@runtime_checkable
class RectangularOccluder(Occluder, Protocol):
    """An occluder that can also fill a rectangle of any size, which area-controlled placement needs."""

    def fill(self, rng: Generator, height: int, width: int) -> Pixels:
        """RGBA pixels (height, width, 4), opaque everywhere."""
        ...


# One entry a texture: drawing an entry at random makes rectangles as frequent as their textures are many.
TRAIN_OCCLUDERS: tuple[Spec, ...] = (
    *(Spec("rectangle", textures=(name,)) for name in TRAIN_TEXTURES),
    Spec("eyeglasses"),
    Spec("phone"),
    Spec("book"),
)
# What the occupancy head learns from: plain textures, mixed ones in an entry an outline, and things held.
# No eyeglasses: their rims hide little, and real ones on a face that counts as clean would say the opposite.
VARIED_OCCLUDERS: tuple[Spec, ...] = (
    *(2 * tuple(spec for spec in TRAIN_OCCLUDERS if spec.name == "rectangle")),
    *(spec for spec in TRAIN_OCCLUDERS if spec.name in ("phone", "book")),
    *(Spec("patchwork", outlines=(name,)) for name in OUTLINES),
)
TEST_OCCLUDERS: tuple[Spec, ...] = (
    *(Spec("rectangle", textures=(name,)) for name in TEST_TEXTURES),
    Spec("sunglasses"),
    Spec("mouth_mask"),
    Spec("scarf"),
    Spec("hand"),
    Spec("cup"),
)
