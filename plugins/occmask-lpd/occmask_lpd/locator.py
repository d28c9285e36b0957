"""Where the part of a face lies that a face mask leaves free."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import occmask

from .nose_line import NOSE_LINE, free_height

_START_WIDTH = 0.95  # of the first box; the whole width is the end of tanh, where nothing learns
_START_SPREAD = 0.1  # standard deviation of the four numbers in the first batches, before tanh


class LatentPart(nn.Module):
    """The localisation network of a spatial transformer without rotation (Ding et al., ACM MM 2020, section 3).

    Channel mean -> FC to `width` -> BN -> ReLU -> FC to 4 -> BN -> tanh: the width, height and centre of a box.  At the
    start the box spans nearly the whole width, from the top down to `nose_line`, a share of the height.  The published
    sizes lie in (-1, 1), and a negative one mirrors the face; these lie in (`least`, 1), shares of the image.

    `loss`: how far the height of the box is from that of the free face, L1 over all faces: the nose line or, with
    `follow_cover`, the upper edge of what hides the face below it (see `free_height`).  Nothing else about the box is
    supervised, as published.  Raises `OptionError` for an option that cannot be.
    """

    def __init__(
        self,
        image: occmask.FeatureShape,
        *,
        width: int = 32,
        nose_line: float = NOSE_LINE,
        least: float = 0.25,
        follow_cover: bool = True,
    ):
        super().__init__()
        if width < 1:
            raise occmask.OptionError(f"part locator 'lpd': width is at least 1, not {width!r}")
        if not 0 < least < 1:
            raise occmask.OptionError(f"part locator 'lpd': least, the smallest side, lies in (0, 1), not {least!r}")
        if not least < nose_line < 1:
            raise occmask.OptionError(
                f"part locator 'lpd': nose_line is a share of the height in ({least}, 1), not {nose_line!r}"
            )
        self.nose_line, self.least, self.follow_cover = nose_line, least, follow_cover
        self.fc1 = nn.Linear(image.height * image.width, width, bias=False)
        self.bn1 = nn.BatchNorm1d(width)
        self.fc2 = nn.Linear(width, 4, bias=False)
        self.bn2 = nn.BatchNorm1d(4)
        nn.init.constant_(self.bn2.weight, _START_SPREAD)
        start = (self._before_tanh(_START_WIDTH), self._before_tanh(nose_line), 0.0, math.atanh(nose_line - 1))
        with torch.no_grad():
            self.bn2.bias.copy_(torch.tensor(start))

    def forward(self, images: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, 4)
        grey = images.mean(1).flatten(1)  # (B, H * W)
        found = self.bn2(self.fc2(F.relu(self.bn1(self.fc1(grey))))).tanh()  # (B, 4)
        side = self.least + (1 - self.least) * (1 + found[:, :2]) / 2  # (B, 2) width, height
        centre = (1 + found[:, 2:]) / 2  # (B, 2) x, y
        return torch.cat([centre - side / 2, centre + side / 2], dim=1)

    def loss(self, box: Tensor, truth: occmask.OcclusionTruth) -> Tensor:
        """L1 between the box's height and that of the free face: a scalar, in shares of the height."""
        height = box[:, 3] - box[:, 1]
        if not self.follow_cover:
            return (height - self.nose_line).abs().mean()
        return (height - free_height(truth, nose_line=self.nose_line).to(box)).abs().mean()

    def _before_tanh(self, side: float) -> float:
        return math.atanh(2 * (side - self.least) / (1 - self.least) - 1)
