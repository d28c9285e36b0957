"""The mask itself as the answer: where FROM keeps little of the features, the face is covered."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..coverage import answer_from_coverage, coverage_loss
from ..errors import OptionError
from ..shapes import FeatureShape, OcclusionAnswer, OcclusionTruth
from .pattern_predictors import check_temperature


class MaskReading(nn.Module):
    """Logits of "covered" (B, 1, h, w), read off the soft mask with two numbers that are learnt.

    A place is the more covered the less of it is kept, on average over its channels: gain * (1/2 - keep) + offset.  So
    the binary cross entropy with the covered share of each cell teaches the mask itself to close where the face is
    covered, and nowhere else.  A mask on the finished embedding, (D,), knows no places: it answers for the whole face.
    `k`: cells a side of the answer, `gain`: the first value of it; `temperature`: what the logits are divided by before
    they are called probabilities: see `calibrate`.
    """

    def __init__(
        self,
        mask_shape: tuple[int, ...],
        image: FeatureShape,
        *,
        k: int = 5,
        gain: float = 8.0,
        temperature: float = 1.0,
    ):
        super().__init__()
        if not isinstance(k, int) or k < 1:
            raise OptionError(f"pattern predictor 'mask': k is a positive whole number, not {k!r}")
        if not gain > 0:
            raise OptionError(f"pattern predictor 'mask': gain is positive, not {gain!r}")
        check_temperature("mask", temperature)
        self.k, self.temperature = k, temperature
        self.size = tuple(mask_shape[1:]) if len(mask_shape) == 3 else (1, 1)
        self.gain = nn.Parameter(torch.tensor(float(gain)))
        self.offset = nn.Parameter(torch.tensor(0.0))

    def forward(self, mask: Tensor) -> Tensor:  # soft mask (B, C, H, W), (B, 1, H, W) or (B, D) -> (B, 1, h, w)
        keep = mask.mean(1).reshape(-1, 1, *self.size)
        return self.gain * (0.5 - keep) + self.offset

    def loss(self, pattern: Tensor, truth: OcclusionTruth) -> Tensor:  # (B, 1, h, w) -> scalar
        return coverage_loss(pattern, truth)

    def answer(self, pattern: Tensor) -> OcclusionAnswer:  # (B, 1, h, w)
        """What is covered, in probabilities."""
        return answer_from_coverage(pattern / self.temperature, k=self.k)
