"""The regions of an aligned face: where in the picture its forehead, eyes, nose, mouth and chin lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import UnknownNameError
from .template import template_points

# x0 y0 x1 y1 on a face whose eyes lie at (-1, 0) and (1, 0) and whose mouth lies at height 2.32, as in the template.
# The tip of the nose then lies at 1.15 and the corners of the mouth at -0.83 and 0.83.  Left and right are those of the
# picture, and halves of the face that overlap the rest; the others have no pixel in common.
FACE_REGIONS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "forehead": (-1.5, -1.8, 1.5, -0.6),
        "eyes": (-1.6, -0.5, 1.6, 0.45),
        "nose": (-0.55, 0.45, 0.55, 1.5),
        "mouth": (-1.0, 1.75, 1.0, 2.75),
        "chin": (-0.9, 2.75, 0.9, 3.4),
        "left": (-1.75, -1.0, 0.0, 3.0),
        "right": (0.0, -1.0, 1.75, 3.0),
    }
)


@lru_cache(maxsize=16)
def region_masks(image_size: tuple[int, int], names: Sequence[str] = tuple(FACE_REGIONS)) -> NDArray[np.bool_]:
    """Which pixels of an aligned picture (height, width) lie in each region: (len(names), H, W).

    Every region has at least one pixel.  Raises `UnknownNameError` for a name.
    """
    height, width = image_size
    left_eye, right_eye, _, left_mouth, right_mouth = template_points(image_size)
    middle = (left_eye + right_eye) / 2
    across = (right_eye[0] - left_eye[0]) / 2
    down = ((left_mouth[1] + right_mouth[1]) / 2 - middle[1]) / 2.32
    masks = np.zeros((len(names), height, width), bool)
    for mask, name in zip(masks, names, strict=True):
        if name not in FACE_REGIONS:
            raise UnknownNameError("region", name, FACE_REGIONS)
        x0, y0, x1, y1 = FACE_REGIONS[name]
        left, right = _inside(middle[0] + across * x0, middle[0] + across * x1, width)
        top, bottom = _inside(middle[1] + down * y0, middle[1] + down * y1, height)
        mask[top:bottom, left:right] = True
    masks.flags.writeable = False
    return masks


@lru_cache(maxsize=64)
def region_weights(image_size: tuple[int, int], grid: tuple[int, int]) -> NDArray[np.float32]:
    """How much each cell of a grid (rows, columns) over the picture counts for each region: (R, rows * columns).

    A region's weights sum to 1, so their product with the covered share of each cell is that of the region.
    """
    masks = region_masks(image_size).astype(np.float64)
    down, across = (_overlap(cells, side) for cells, side in zip(grid, image_size, strict=True))
    weights = (down @ masks @ across.T).reshape(len(masks), -1)
    shares: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return shares


def _overlap(cells: int, side: int) -> NDArray[np.float64]:
    """(cells, side): how much of each pixel lies in each of so many equal cells."""
    edges, pixel = np.linspace(0, side, cells + 1), np.arange(side)
    inside = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    overlap: NDArray[np.float64] = np.clip(inside, 0, None)
    return overlap


def _inside(low: float, high: float, side: int) -> tuple[int, int]:
    """The pixels between two coordinates, at least one of them and all within the picture."""
    first = int(np.clip(round(low), 0, side - 1))
    return first, int(np.clip(round(high), first + 1, side))
