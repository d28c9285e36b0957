"""The adversary: does a face look real, or restored?"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse_gradient(x: Tensor) -> Tensor:
    """`x`, whose gradient changes its sign: what lies before it works against what lies after (Ganin et al. 2016)."""
    return _Reversed.apply(x)  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """(B, 3, H, W) -> (B,) logits of "this is a real face": four strided convolutions, the mean over places."""

    def __init__(self, width: int = 16):
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).mean((1, 2, 3))  # type: ignore[no-any-return]

    def loss(self, real: Tensor, restored: Tensor) -> Tensor:
        """Cross entropy of telling the two apart; what made `restored` is driven to raise it."""
        said = self(torch.cat([real, reverse_gradient(restored)]))
        truth = torch.cat([said.new_ones(len(real)), said.new_zeros(len(restored))])
        return F.binary_cross_entropy_with_logits(said, truth)
