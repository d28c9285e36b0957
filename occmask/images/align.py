"""Alignment: five points of a face in a photograph -> the crop in which they lie where the template has them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..errors import DataError
from .pixels import Pixels, check_image_size, fit
from .template import template_points

Points = NDArray[np.float64]


class Similarity(NamedTuple):
    """A rotation, a scale and a shift: x -> matrix @ x + shift, in pixels, whole numbers at pixel centres."""

    matrix: NDArray[np.float64]  # (2, 2)
    shift: NDArray[np.float64]  # (2,)

    def __call__(self, points: ArrayLike) -> Points:
        """Points (N, 2) -> (N, 2)."""
        moved: Points = np.asarray(points, np.float64) @ self.matrix.T + self.shift
        return moved

    @property
    def scale(self) -> float:
        """How many pixels of the result one pixel becomes."""
        return float(np.sqrt(np.linalg.det(self.matrix)))

    def inverse(self) -> Similarity:
        """The way back."""
        back = np.linalg.inv(self.matrix).astype(np.float64)
        return Similarity(back, -back @ self.shift)


def fit_similarity(source: ArrayLike, target: ArrayLike) -> Similarity:
    """The similarity without reflection that brings source (N, 2) closest to target (N, 2) in least squares.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 13(4),
    1991, equations 40 to 43; in two dimensions the rotation and scale have this closed form.  Raises `DataError` when
    the source points coincide.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    centre_a, centre_b = a.mean(axis=0), b.mean(axis=0)
    a, b = a - centre_a, b - centre_b
    spread = float((a * a).sum())
    if not spread > 1e-12:
        raise DataError("the points lie on one another; a face needs five different ones")
    along = float((a * b).sum()) / spread  # scale times the cosine of the rotation
    across = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread  # ... and its sine
    matrix = np.array([[along, -across], [across, along]])
    if not np.linalg.det(matrix) > 1e-12:
        raise DataError("no rotation and scale brings these points to the template")
    return Similarity(matrix, centre_b - matrix @ centre_a)


def check_points(points: ArrayLike) -> Points:
    """Five points (5, 2): left eye, right eye, nose, left and right corner of the mouth, left as the picture shows it.

    Raises `DataError` for another number of points, for numbers that are not finite, and for points in another order
    (a person's own left and right instead of the picture's would turn the face over).
    """
    try:
        five = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        five = np.empty(0)
    if five.shape != (5, 2):
        raise DataError(
            f"alignment takes five points (x, y): eyes, nose, corners of the mouth; not an array of shape {five.shape}"
        )
    if not np.isfinite(five).all():
        raise DataError("the points hold NaN or infinity; they must be pixel positions")
    across, down = five[1] - five[0], five[3:].mean(axis=0) - five[:2].mean(axis=0)
    turn = float(across[0] * down[1] - across[1] * down[0])
    mouth = float(across @ (five[4] - five[3]))
    if turn <= 0 or mouth <= 0:
        raise DataError(
            "the points are not in the order left eye, right eye, nose, left and right corner of the mouth, left and "
            "right as seen in the picture"
        )
    return five


def align(picture: Image.Image, points: ArrayLike, *, image_size: tuple[int, int] = (112, 112)) -> Pixels:
    """The face whose five points (5, 2) in `picture` are given, as an aligned crop uint8 (H, W, 3).

    The points are x and y in pixels, the centre of the top left pixel being (0, 0), in the order of `check_points`.
    The crop is the similarity that brings them closest to `template_points(image_size)`, bilinear, black outside the
    picture.  A picture more than twice too large is first reduced by a whole factor, so that no pixel is left out.
    The 112x96 crop is the columns 8..104 of the 112x112 one, bit for bit.  Raises `DataError` for points that are no
    face's.
    """
    height, width = check_image_size(image_size)
    # A narrower crop is cut out of the square one, so that both have the same bytes.
    side = height if width < height and (height - width) % 2 == 0 else width
    to_crop = fit_similarity(check_points(points), template_points((height, side)))
    back = to_crop.inverse()
    pixels = Image.fromarray(fit(picture, (picture.height, picture.width)))  # RGB; what is transparent is black
    factor = int(1 / to_crop.scale)
    matrix, shift = back.matrix, back.shift + 0.5 - back.matrix @ np.array([0.5, 0.5])  # Pillow counts from corners
    if factor >= 2:
        pixels = pixels.reduce(factor)
        matrix, shift = matrix / factor, shift / factor
    (a, b), (c, d) = matrix
    square = pixels.transform(
        (side, height),
        Image.Transform.AFFINE,
        (a, b, float(shift[0]), c, d, float(shift[1])),
        Image.Resampling.BILINEAR,
    )
    left = (side - width) // 2
    return np.array(square)[:, left : left + width].copy()
