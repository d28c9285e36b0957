"""The picture as a network that was not made for face crops wants it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Picture(nn.Module):
    """Rescales and resizes what the library feeds a backbone, (x - 127.5) / 127.5 for x in 0..255.

    `size`: (height, width) that comes out, bilinear.  `mean`, `std`: of each channel in 0..1, as networks trained on
    ImageNet want it, (x / 255 - mean) / std; 0.5 and 0.5 change nothing.  They are kept in the state dict, so that a
    checkpoint brings its own.
    """

    gain: Tensor  # (3, 1, 1)
    shift: Tensor  # (3, 1, 1)

    def __init__(self, size: tuple[int, int], *, mean: Sequence[float] = (0.5,) * 3, std: Sequence[float] = (0.5,) * 3):
        super().__init__()
        self.size = size
        # x / 255 = 0.5 v + 0.5 of what comes in, v
        self.register_buffer("gain", torch.tensor([0.5 / s for s in std])[:, None, None])
        self.register_buffer(
            "shift", torch.tensor([(0.5 - m) / s for m, s in zip(mean, std, strict=True)])[:, None, None]
        )

    def forward(self, image: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, 3, *size)
        x = image * self.gain + self.shift
        if x.shape[-2:] == self.size:
            return x
        return F.interpolate(x, size=self.size, mode="bilinear", align_corners=False)
