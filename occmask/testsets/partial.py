"""Partial faces: a part of the face is left and the rest is missing, marked by one grey."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..errors import DataError, OptionError, UnknownNameError
from ..occluders.regions import Box
from ..spec import Spec
from .recipe import Face, Made

FILL = 128  # the grey of what is missing
# The edges x0 y0 x1 y1 of the parts: so many distances of the eyes from a point of the face (a row of
# `template_points`), or None where a part reaches to the picture's edge.  Left and right are those of the picture.
_Edge = tuple[int, float] | None
PARTS: Mapping[str, tuple[_Edge, _Edge, _Edge, _Edge]] = MappingProxyType(
    {
        "upper_half": (None, None, None, (2, 0.0)),  # above the tip of the nose
        "lower_half": (None, (2, 0.0), None, None),
        "left_half": (None, None, (0, 0.5), None),  # left of the middle between the eyes
        "right_half": ((1, -0.5), None, None, None),
        "eyes": ((0, -0.5), (0, -0.5), (1, 0.5), (0, 0.3)),
        "left_eye": ((0, -0.45), (0, -0.5), (0, 0.45), (0, 0.3)),  # with its brow
        "right_eye": ((1, -0.45), (1, -0.5), (1, 0.45), (1, 0.3)),
        "mouth": ((3, -0.25), (3, -0.4), (4, 0.25), (3, 0.4)),
    }
)


def part_box(part: str, points: NDArray[np.float64], image_size: tuple[int, int]) -> Box:
    """Where a part of `PARTS` lies in a picture of (height, width) whose face has these five points, to whole pixels.

    Raises `UnknownNameError` for the part and `DataError` when it lies outside the picture.
    """
    if part not in PARTS:
        raise UnknownNameError("part of a face", part, PARTS)
    height, width = image_size
    unit = float(np.hypot(*(points[1] - points[0])))
    limits = (0, 0, width, height)
    x0, y0, x1, y1 = (
        limit
        if edge is None
        else int(np.clip(round(points[edge[0], axis % 2] + edge[1] * unit), 0, limits[axis % 2 + 2]))
        for axis, (edge, limit) in enumerate(zip(PARTS[part], limits, strict=True))
    )
    if x0 >= x1 or y0 >= y1:
        raise DataError(f"the part {part!r} of the face lies outside the picture by its five points {points.tolist()}")
    return Box(x0, y0, x1, y1)


class Partial:
    """One named part of the face (`PARTS`); `crops` keeps it as a picture of its own, too.

    What is missing has the grey level `fill`, and the visible map says what is left.
    """

    def __init__(self, *, part: str = "upper_half", fill: int = FILL, crops: bool = False):
        if part not in PARTS:
            raise UnknownNameError("part of a face", part, PARTS)
        self.condition, self.part, self.crops = f"partial_{part}", part, crops
        self.fill = _grey(fill)
        self.occluders: tuple[Spec, ...] = ()

    def __call__(self, face: Face, rng: Generator) -> Made:
        box = part_box(self.part, face.points, (face.image.shape[0], face.image.shape[1]))
        return _only(face, box, self.fill, crops=self.crops)


class RandomCrop:
    """A rectangle anywhere in the picture that shows between `low` and `high` of it, half to twice as tall as wide.

    What is missing has the grey level `fill`; `crops` keeps what is left as a picture of its own, too.
    """

    def __init__(self, *, low: float = 0.2, high: float = 0.6, fill: int = FILL, crops: bool = False):
        if not 0 < low <= high <= 1:
            raise OptionError(f"the visible share lies in 0 < low <= high <= 1, not low={low!r}, high={high!r}")
        self.condition, self.low, self.high, self.crops = "random_crop", low, high, crops
        self.fill = _grey(fill)
        self.occluders: tuple[Spec, ...] = ()

    def __call__(self, face: Face, rng: Generator) -> Made:
        height, width = face.image.shape[:2]
        area = rng.uniform(self.low, self.high) * height * width
        least = max(1.0, area / width)
        shortest, tallest = np.clip((np.sqrt(area / 2), np.sqrt(area * 2)), least, height)
        tall = int(np.clip(round(shortest * (tallest / shortest) ** rng.random()), np.ceil(least - 1e-9), height))
        wide = min(width, max(1, round(area / tall)))
        left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - tall + 1))
        return _only(face, Box(left, top, left + wide, top + tall), self.fill, crops=self.crops)


def _only(face: Face, box: Box, fill: int, *, crops: bool) -> Made:
    missing = np.ones(face.image.shape[:2], bool)
    missing[box.y0 : box.y1, box.x0 : box.x1] = False
    image = face.image.copy()
    image[missing] = fill
    return Made(image, missing, "missing", box if crops else None)


def _grey(fill: int) -> int:
    if isinstance(fill, bool) or not isinstance(fill, int) or not 0 <= fill <= 255:
        raise OptionError(f"fill is the grey level of what is missing, 0..255, not {fill!r}")
    return fill
