"""Distortion: aligned faces that are not quite aligned, as a poor detector or a turned head leaves them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import OptionError, ShapeError
from .pixels import Pixels

_LARGEST_SCALE = 8.0  # beyond it nothing of a face is left


def distort(
    images: Pixels, *, shift: ArrayLike = (0.0, 0.0), scale: ArrayLike = 1.0, rotation: ArrayLike = 0.0
) -> Pixels:
    """The pictures uint8 (N, H, W, 3), each turned and scaled about its middle, then moved; edges are repeated.

    `shift`: (2,) or (N, 2), pixels to the right and down; `scale`: a number or (N,), above 1 enlarges the face;
    `rotation`: a number or (N,), degrees, clockwise as the picture is seen.  Between pixels the values are bilinear;
    where nothing changes they stay bit for bit.  Raises `ShapeError` and `OptionError`.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ShapeError(f"pictures are uint8 (N, H, W, 3), not {images.dtype} {images.shape}")
    count = len(images)
    moves = _each("shift", shift, (count, 2))
    scales, turns = _each("scale", scale, (count,)), np.deg2rad(_each("rotation", rotation, (count,)))
    if count and not (scales.min() >= 1 / _LARGEST_SCALE and scales.max() <= _LARGEST_SCALE):
        raise OptionError(f"scale lies in [1/{_LARGEST_SCALE:g}, {_LARGEST_SCALE:g}], and 1 keeps the size")
    out = np.empty_like(images)
    for i, image in enumerate(images):
        out[i] = _one(image, moves[i], float(scales[i]), float(turns[i]))
    return out


def _one(image: Pixels, move: NDArray[np.float64], scale: float, turn: float) -> Pixels:
    height, width = image.shape[:2]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = x - middle[0] - move[0], y - middle[1] - move[1]  # of each new pixel: which old one is it?
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    return _bilinear(image, cos * x + sin * y + middle[0], cos * y - sin * x + middle[1])


def _bilinear(image: Pixels, x: NDArray[np.float64], y: NDArray[np.float64]) -> Pixels:
    """The values at the points (x, y), each (H, W) in pixels; beyond the border those of the border."""
    height, width = image.shape[:2]
    # a rounding error of the turn must not blur a pixel that is hit exactly
    x, y = np.clip(np.round(x, 9), 0, width - 1), np.clip(np.round(y, 9), 0, height - 1)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[..., None], (y - top)[..., None]
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[bottom, left] * (1 - across) + image[bottom, right] * across
    pixels: Pixels = np.rint(upper * (1 - down) + lower * down).astype(np.uint8)
    return pixels


def _each(option: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """One value a picture, from one for all or one for each."""
    try:
        array = np.asarray(value, np.float64)
        whole: NDArray[np.float64] = np.broadcast_to(array, shape)
    except (TypeError, ValueError):
        each = " or ".join(str(s) for s in (shape[1:], shape))
        raise OptionError(f"{option} is {each} numbers, one for all pictures or one for each, not {value!r}") from None
    if not np.isfinite(whole).all():
        raise OptionError(f"{option} holds NaN or infinity; every value must be finite")
    return whole
