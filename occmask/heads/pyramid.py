"""The feature pyramid of FROM: top-down, and only the one level that anything reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import OptionError
from ..initialise import xavier_initialise
from ..shapes import FeatureShape

LEVELS = 3  # X1, X2, X3: the paper's pyramid


class FeaturePyramid(nn.Module):
    """X3 from the three coarsest maps: 1x1 laterals, nearest upsampling, sum, and one 3x3 at the finest level.

    The published network also computes the other levels' outputs (2.95 M parameters) and never uses them.
    """

    def __init__(self, maps: Sequence[FeatureShape], *, width: int):
        super().__init__()
        if len(maps) < LEVELS:
            raise OptionError(
                f"the feature pyramid reads the {LEVELS} coarsest maps, and this backbone has only {len(maps)}; "
                "use a backbone with more stages or mask_decoder='deep', which needs no pyramid"
            )
        used = maps[-LEVELS:]
        self.laterals = nn.ModuleList(nn.Conv2d(shape.channels, width, 1) for shape in used)  # finest first
        self.output = nn.Conv2d(width, width, 3, 1, 1)
        self.shape = FeatureShape(width, used[0].height, used[0].width)
        xavier_initialise(self)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:  # finest first -> (B, width, H3, W3)
        finest_last = list(zip(self.laterals, maps[-LEVELS:], strict=True))[::-1]
        lateral, top = finest_last[0]
        x = lateral(top)
        for lateral, features in finest_last[1:]:
            x = lateral(features) + F.interpolate(x, size=features.shape[-2:], mode="nearest")
        return self.output(x)  # type: ignore[no-any-return]
