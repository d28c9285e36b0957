"""PSNR and SSIM of the covered part of pictures."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

import occmask

LARGEST = 255.0  # the span of pixel values that both measures are relative to
_WINDOW, _SIGMA = 11, 1.5  # of SSIM's gaussian
_C1, _C2 = (0.01 * LARGEST) ** 2, (0.03 * LARGEST) ** 2

Pictures = NDArray[np.floating] | NDArray[np.uint8]
Places = NDArray[np.bool_]


def psnr(pictures: Pictures, truth: Pictures, where: Places) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio in dB over the places that count: (N, H, W, C), (N, H, W, C), (N, H, W) -> (N,).

    10 log10(255^2 / mean squared error), the mean over the picture's places and channels.  Infinite where nothing
    differs, NaN for a picture without a place.  Raises `ShapeError`.
    """
    _check(pictures, truth, where)
    error = np.square(pictures.astype(np.float64) - truth.astype(np.float64)).mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(where, error, 0).sum((1, 2)) / where.sum((1, 2))
        decibels: NDArray[np.float64] = 10 * np.log10(LARGEST**2 / mean)
    return decibels


def ssim(pictures: Pictures, truth: Pictures, where: Places) -> NDArray[np.float64]:
    """Mean structural similarity over the places that count: shapes as in `psnr`, (N,) in [-1, 1].

    Wang et al., IEEE TIP 13(4), 2004: gaussian window of 11 x 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, span 255,
    mean over channels.  A window that hangs over the picture's edge is cut there and its weights sum to 1 again, so
    that places near the edge have a value, too.  A window reaches 5 pixels beyond the covered part, as the eye does.
    """
    _check(pictures, truth, where)
    similarity = ssim_map(pictures, truth)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(where, similarity, 0).sum((1, 2)) / where.sum((1, 2))
    return mean


def ssim_map(pictures: Pictures, truth: Pictures) -> NDArray[np.float64]:
    """SSIM of the window around each pixel, mean over channels: (N, H, W, C) twice -> (N, H, W)."""
    if _is_grey(pictures) and _is_grey(truth):  # each channel would say the same
        pictures, truth = pictures[..., :1], truth[..., :1]
    x, y = _planes(pictures), _planes(truth)
    size = x.shape[2:]
    gaussian = torch.exp(-((torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    inside = _blur(torch.ones(1, 1, *size, dtype=torch.float64), gaussian)

    def mean(plane: Tensor) -> Tensor:
        return _blur(plane, gaussian) / inside

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    similarity = (2 * mx * my + _C1) * (2 * cov + _C2) / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    result: NDArray[np.float64] = similarity.reshape(len(pictures), -1, *size).mean(1).numpy()
    return result


def _is_grey(pictures: Pictures) -> bool:
    return bool((pictures == pictures[..., :1]).all())


def _planes(pictures: Pictures) -> Tensor:
    """(N, H, W, C) -> (N * C, 1, H, W)."""
    count, height, width, channels = pictures.shape
    planes = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float64))
    return planes.reshape(count * channels, 1, height, width)


def _blur(planes: Tensor, gaussian: Tensor) -> Tensor:
    across = F.conv2d(planes, gaussian[None, None, None, :], padding=(0, _WINDOW // 2))
    return F.conv2d(across, gaussian[None, None, :, None], padding=(_WINDOW // 2, 0))


def _check(pictures: Pictures, truth: Pictures, where: Places) -> None:
    if pictures.ndim != 4 or pictures.shape != truth.shape or where.shape != pictures.shape[:3]:
        raise occmask.ShapeError(
            "pictures and truth are (N, H, W, C) and the places that count (N, H, W), not "
            f"{pictures.shape}, {truth.shape} and {where.shape}"
        )
