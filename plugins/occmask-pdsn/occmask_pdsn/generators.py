"""The mask generators: one a block, from how a covered face's features differ to which of them to keep.

Source: Song et al., ICCV 2019, Fig. 4: conv3x3, PReLU, BatchNorm, sigmoid on |f(clean) - f(covered)| of the top map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from occmask import FeatureShape


class MaskGenerators(nn.Module):
    """N generators over batches in which every face has a covered block of its own.

    A published generator is trained alone, and all of its batch has the same covered block.  In a mixed batch a block
    has a face or two, far too few for statistics.  So the BatchNorm's mean and variance are those of the whole mixed
    batch, well estimated and the same in training and afterwards, and each block keeps its own slope, weight and bias.
    One common scale also leaves a block that disturbs little looking weak beside one that disturbs much, which
    statistics of its own would hide.  Each block's layers are parameters of their own, so those whose block is absent
    from a batch get no gradient and no update.
    """

    def __init__(self, blocks: int, top: FeatureShape):
        super().__init__()
        channels = top.channels
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(blocks))
        self.slopes = nn.ModuleList(nn.PReLU(channels) for _ in range(blocks))
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scales = nn.ParameterList(torch.ones(channels) for _ in range(blocks))
        self.shifts = nn.ParameterList(torch.zeros(channels) for _ in range(blocks))

    def forward(self, difference: Tensor, block: Tensor) -> Tensor:
        """difference (B, C, H, W) and each face's block (B,) int64 -> how much to keep of each feature, in [0, 1]."""
        order, rows = [], []
        for index in block.unique().tolist():
            chosen = (block == index).nonzero()[:, 0]
            rows.append(self.slopes[index](self.convolutions[index](difference[chosen])))
            order.append(chosen)
        back = torch.cat(order).argsort()
        normal = self.norm(torch.cat(rows)[back])
        scale = torch.stack([self.scales[index] for index in block.tolist()])
        shift = torch.stack([self.shifts[index] for index in block.tolist()])
        keep: Tensor = (normal * scale[:, :, None, None] + shift[:, :, None, None]).sigmoid()
        return keep
