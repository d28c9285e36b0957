"""The five points every aligned face is made to fit: where the eyes, the nose and the mouth of the template lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError

ARCFACE_112 = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def template_points(image_size: tuple[int, int]) -> NDArray[np.float64]:
    """Where the five points lie in an aligned face of `image_size` (height, width): (5, 2) x and y, in pixels.

    The rows are the eye on the left of the picture, the eye on its right, the tip of the nose, and the left and right
    corner of the mouth.  The points of 112x112 (Deng et al., ArcFace; InsightFace's `arcface_dst`) are scaled by
    height / 112 and their columns centred, so a 112x96 face has the same points 8 pixels further left.  Raises
    `OptionError` for a size that is not two positive numbers.
    """
    height, width = image_size
    if height <= 0 or width <= 0:
        raise OptionError(f"image_size must be two positive numbers (height, width), not {image_size!r}")
    scale = height / 112
    points = np.asarray(ARCFACE_112, dtype=np.float64) * scale
    points[:, 0] += (width - 112 * scale) / 2
    return points
