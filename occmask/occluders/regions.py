"""The fixed regions of an aligned face that FROM covers one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from numpy.random import Generator

from ..errors import OptionError, UnknownNameError
from .occlude import Placed
from .occluder import Occluder, RectangularOccluder


class Box(NamedTuple):
    """Whole pixels: columns x0 .. x1 - 1 of rows y0 .. y1 - 1."""

    x0: int
    y0: int
    x1: int
    y1: int


# FROM's boxes for a 112x96 face (`get_occ_boxs` of its published code); left and right are those of the picture.
REGIONS: Mapping[str, Box] = MappingProxyType(
    {
        "left_face": Box(12, 44, 52, 104),
        "right_face": Box(52, 44, 92, 104),
        "up_face": Box(10, 15, 85, 65),
        "down_face": Box(10, 65, 85, 105),
        "twoeyes": Box(16, 44, 86, 64),
        "left_eye_hard": Box(10, 35, 50, 65),
        "right_eye_hard": Box(50, 35, 90, 65),
        "nose_hard": Box(33, 45, 63, 85),
        "mouth_hard": Box(25, 80, 75, 110),
        "nose_mouth_hard": Box(25, 60, 75, 110),
    }
)


def region_box(region: str, image_size: tuple[int, int]) -> Box:
    """Where a region lies in an aligned face of `image_size` (height, width), to whole pixels.

    Boxes are scaled by height / 112 and their columns centred, as the five points are: at 112x112 they are the
    published ones 8 pixels further right.  Raises `UnknownNameError` for the region.
    """
    if region not in REGIONS:
        raise UnknownNameError("region", region, REGIONS)
    height, width = image_size
    scale = height / 112
    x0, y0, x1, y1 = REGIONS[region]
    shift = (width - 96 * scale) / 2
    return Box(round(x0 * scale + shift), round(y0 * scale), round(x1 * scale + shift), round(y1 * scale))


class RegionPlacement:
    """A rectangle over a region of the face, moved along the diagonal by up to `jitter` pixels (of 112 rows).

    As in FROM's published code one whole number of -jitter .. jitter moves the box in both directions; there it
    is 5, or 10 for MegaFace.  What lies outside the face is cut off.
    """

    def __init__(self, region: str, *, jitter: int = 5):
        region_box(region, (112, 96))
        if jitter < 0:
            raise OptionError(f"jitter is how many pixels a region may be moved, 0 or more, not {jitter!r}")
        self.region, self.jitter = region, int(jitter)

    def check(self, occluder: Occluder) -> None:
        if not isinstance(occluder, RectangularOccluder):
            raise OptionError(
                f"a region needs an occluder that fills a rectangle, and {type(occluder).__name__} has no fill(); "
                "use 'rectangle' or 'pictures'"
            )

    def __call__(self, occluder: Occluder, rng: Generator, image_size: tuple[int, int]) -> Placed:
        self.check(occluder)
        assert isinstance(occluder, RectangularOccluder)
        box = region_box(self.region, image_size)
        moved = round(int(rng.integers(-self.jitter, self.jitter + 1)) * image_size[0] / 112)
        pixels = occluder.fill(rng, max(1, box.y1 - box.y0), max(1, box.x1 - box.x0))
        return Placed(pixels, box.x0 + moved, box.y0 + moved)
