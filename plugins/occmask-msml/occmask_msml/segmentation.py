"""The segmentation branch: a UNet on the picture, from which coverage and features of every scale are read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """conv3x3-BN-ReLU-conv3x3-BN plus the shortcut, ReLU: the block of ResNet-18."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, H, W) -> (B, C_out, ceil(H / stride), ceil(W / stride))
        return F.relu(self.body(x) + self.shortcut(x))


class SegmentationNet(nn.Module):
    """A UNet with residual blocks: one scale a width, the first at half the picture's size and each next at half again.

    (B, C, H, W) -> decoder maps, finest first, with `widths` channels and `sizes` (height, width), which round up.
    `depth`: residual blocks of each scale of the encoder.
    """

    def __init__(self, channels: int, image_size: tuple[int, int], *, widths: Sequence[int], depth: int):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        size = _half(image_size)
        self.sizes = [size]
        self.encoder = nn.ModuleList([_stage(widths[0], widths[0], 1, depth)])
        self.decoder = nn.ModuleList()
        for finer, coarser in pairwise(widths):
            self.encoder.append(_stage(finer, coarser, 2, depth))
            self.decoder.append(_merge(finer + coarser, finer))
            size = _half(size)
            self.sizes.append(size)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps = []
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        for scale in range(len(self.decoder) - 1, -1, -1):
            coarser = F.interpolate(maps[scale + 1], self.sizes[scale], mode="bilinear", align_corners=False)
            maps[scale] = self.decoder[scale](torch.cat([maps[scale], coarser], dim=1))
        return maps


def _half(size: tuple[int, int]) -> tuple[int, int]:
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def _stage(channels_in: int, channels_out: int, stride: int, depth: int) -> nn.Sequential:
    first = ResidualBlock(channels_in, channels_out, stride)
    return nn.Sequential(first, *(ResidualBlock(channels_out, channels_out) for _ in range(depth - 1)))


def _merge(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU()
    )
