"""Blocks: the K x K cells of the face, and how much of each is covered."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from occmask import FeatureShape, OcclusionTruth, PatternGrid, ShapeError


class Blocks(nn.Module):
    """The cells of `occmask.PatternGrid(k)` on an image, numbered row by row from 0 (the paper counts from 1).

    Holds tables only; nothing is learnt and nothing is saved.
    """

    rows: Tensor  # (K, H) 1 / pixels where the row of pixels belongs to the row of blocks
    columns: Tensor  # (K, W)
    top_left: Tensor  # (K * K, 2) x y of each block's first corner, as fractions of the image
    bottom_right: Tensor  # (K * K, 2)

    def __init__(self, k: int, image: FeatureShape):
        super().__init__()
        grid = PatternGrid(k, image_size=(image.height, image.width))
        self.k, self.count, self.image = grid.k, grid.k**2, image
        for name, lines, side in (("rows", grid.rows, image.height), ("columns", grid.columns, image.width)):
            place = np.arange(side)[None]
            inside = (place >= lines[:-1, None]) & (place < lines[1:, None])
            share = inside / inside.sum(1, keepdims=True)
            self.register_buffer(name, torch.from_numpy(share).float(), persistent=False)
        y, x = grid.rows / image.height, grid.columns / image.width
        first = [(x[j], y[i]) for i in range(grid.k) for j in range(grid.k)]
        last = [(x[j + 1], y[i + 1]) for i in range(grid.k) for j in range(grid.k)]
        self.register_buffer("top_left", torch.tensor(first).float(), persistent=False)
        self.register_buffer("bottom_right", torch.tensor(last).float(), persistent=False)

    def covered_share(self, truth: OcclusionTruth) -> Tensor:
        """How much of each block is covered: (B, K * K) float in [0, 1], from the covered map or else from the box.

        Raises `ShapeError` for maps of another size.
        """
        if truth.covered is None:
            return self._overlap(truth.box)
        if truth.covered.shape[1:] != (self.image.height, self.image.width):
            raise ShapeError(
                f"covered maps are (B, {self.image.height}, {self.image.width}), not {tuple(truth.covered.shape)}"
            )
        covered = truth.covered.to(self.rows)
        return (self.rows @ covered @ self.columns.T).flatten(1).clamp(0, 1)

    def _overlap(self, box: Tensor) -> Tensor:
        box = box.to(self.top_left)
        low = torch.maximum(box[:, None, :2], self.top_left)
        high = torch.minimum(box[:, None, 2:], self.bottom_right)
        area = (self.bottom_right - self.top_left).prod(-1)
        return ((high - low).clamp_min(0).prod(-1) / area).clamp(0, 1)

    def box_around(self, blocks: Tensor) -> Tensor:
        """The box around the True blocks: (B, K * K) -> (B, 4) x0 y0 x1 y1 over W H W H; zeros where there are none."""
        chosen = blocks[..., None]
        low = torch.where(chosen, self.top_left, 1.0).amin(1)
        high = torch.where(chosen, self.bottom_right, 0.0).amax(1)
        return torch.cat([low, high], dim=1) * blocks.any(1)[:, None]
