"""Where a dictionary discards: the figure's numbers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .head import PdsnHead


class Locality(NamedTuple):
    """The share of features that each block's item discards, by where in the top map they lie."""

    shares: Tensor  # (K * K, H, W) of the channels at each position
    under: Tensor  # (K * K, H, W) how much of the position lies under the block
    inside: float  # mean share under the covered block, over all blocks
    outside: float  # and beside it

    @property
    def by_block(self) -> tuple[Tensor, Tensor]:
        """(K * K,) each: the shares inside and outside of every block."""
        return _weighted(self.shares, self.under), _weighted(self.shares, 1 - self.under)


def measure_locality(head: PdsnHead) -> Locality:
    """What the dictionary discards when one block is covered, under the block and beside it.

    A position of the top map is the part of the face that its row and column stand for; those that a block covers
    partly count partly on either side.
    """
    blocks = head.blocks
    each = torch.eye(blocks.count, dtype=torch.bool, device=head.dictionary.device)
    shares = head.discarded(each).double().mean(1).cpu()
    height, width = shares.shape[1:]
    first, last = blocks.top_left.double().cpu(), blocks.bottom_right.double().cpu()
    across, down = (_overlap(first[:, i], last[:, i], n) for i, n in ((0, width), (1, height)))
    under = down[:, :, None] * across[:, None, :]
    inside, outside = _weighted(shares, under), _weighted(shares, 1 - under)
    return Locality(shares, under, inside.mean().item(), outside.mean().item())


def _overlap(first: Tensor, last: Tensor, count: int) -> Tensor:
    """(N,) intervals of [0, 1] -> (N, count): the share of each of `count` equal parts that lies in each."""
    edge = torch.linspace(0, 1, count + 1, dtype=first.dtype)
    common = torch.minimum(last[:, None], edge[1:]) - torch.maximum(first[:, None], edge[:-1])
    return common.clamp_min(0) * count


def _weighted(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1e-12)
