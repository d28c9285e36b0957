"""What is read at each position of the grid: a window, and one of twice its side sampled down to the same size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def read_windows(images: Tensor, grid: tuple[int, int], window: tuple[int, int]) -> Tensor:
    """The near windows: (B, C, H, W) -> (B, rows, columns, C * h * w).

    H and W are divisible by the grid, and a window (h, w) is centred on its cell; where it is smaller than the cell,
    pixels between windows are not read, and outside of the picture there are zeros.
    """
    return _windows(images, grid, window)


def read_wide_windows(images: Tensor, grid: tuple[int, int], window: tuple[int, int]) -> Tensor:
    """The wide windows: twice as high and wide around the same centres, every 2 x 2 pixels averaged; same shape."""
    batch, channels, (rows, columns), (height, width) = images.shape[0], images.shape[1], grid, window
    wide = _windows(images, grid, (2 * height, 2 * width))
    wide = wide.reshape(batch * rows * columns, channels, 2 * height, 2 * width)
    return F.avg_pool2d(wide, 2).reshape(batch, rows, columns, channels * height * width)


def _windows(images: Tensor, grid: tuple[int, int], window: tuple[int, int]) -> Tensor:
    (rows, columns), (height, width) = grid, window
    stride = images.shape[2] // rows, images.shape[3] // columns
    tall, wide = height - stride[0], width - stride[1]  # negative where the window is smaller than the cell
    top, left = tall // 2, wide // 2  # of an odd difference the larger half lies right and below
    padded = F.pad(images, (left, wide - left, top, tall - top))  # a negative number crops
    read = F.unfold(padded, (height, width), stride=stride)  # (B, C * h * w, rows * columns)
    return read.transpose(1, 2).reshape(images.shape[0], rows, columns, -1)
