"""The PDSN head: covered blocks -> their items of the dictionary -> one feature discarding mask (ICCV 2019, Fig. 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occmask import FaceShapes, Occlusion, OcclusionAnswer, OcclusionTruth, OptionError, ShapeError, Spec

from .blocks import Blocks
from .combinations import COMBINATIONS
from .detectors import DETECTORS

KEEP = 30.0  # the mask's logit where a feature is kept, and with a minus where it is discarded: a gate of 1 or 0


class PdsnHead(nn.Module):
    """Discards the features that the covered blocks of the face are known to corrupt.

    `k`: blocks a side; `threshold` in (0, 1): from which strength on an item of the dictionary discards a feature;
    `combination`: how the items of several covered blocks become one mask (`COMBINATIONS`); `covered_from` in (0, 1):
    the share, or the detector's probability, from which a block counts as covered; `detector`: what finds the covered
    blocks (`DETECTORS`).

    The dictionary is a buffer, (K * K, C, H, W) in [0, 1], how strongly each block asks to discard each feature of the
    top map.  It is binarised when used, so every option but `k` can be changed afterwards (`occmask_pdsn.changed`).
    Before it is built it is zero and everything is kept.
    """

    dictionary: Tensor

    def __init__(
        self,
        shapes: FaceShapes,
        *,
        k: int = 5,
        threshold: float = 0.5,
        combination: str = "mean",
        covered_from: float = 0.5,
        detector: Spec | str = "classifier",
    ):
        super().__init__()
        for option, value in (("threshold", threshold), ("covered_from", covered_from)):
            if not 0 < value < 1:
                raise OptionError(f"head 'pdsn': {option} lies in (0, 1), not {value!r}")
        # Not `self.threshold`, by which the model would gate our logits.
        self.k, self.discard_from, self.covered_from = k, float(threshold), float(covered_from)
        self.combination = COMBINATIONS[combination]
        self.blocks = Blocks(k, shapes.image)
        self.detector = DETECTORS.build(detector, shapes, self.blocks)
        self.register_buffer("dictionary", torch.zeros(self.blocks.count, *shapes.maps[-1]))

    @property
    def is_built(self) -> bool:
        """Whether the dictionary holds anything."""
        return bool((self.dictionary > 0).any())

    def discarded(self, blocks: Tensor) -> Tensor:
        """Which features of the top map are discarded when these blocks are covered.

        blocks: (B, K * K), booleans -> (B, C, H, W), booleans.  Raises `ShapeError` for another shape or type.
        """
        if blocks.ndim != 2 or blocks.shape[1] != self.blocks.count or blocks.dtype != torch.bool:
            raise ShapeError(
                f"blocks are booleans of shape (B, {self.blocks.count}), row by row, not {blocks.dtype} "
                f"{tuple(blocks.shape)}"
            )
        found: Tensor = self.combination(self.dictionary.flatten(1), blocks.to(self.dictionary), self.discard_from)
        return found.reshape(-1, *self.dictionary.shape[1:])

    def true_blocks(self, truth: OcclusionTruth) -> Tensor:
        """The blocks that count as covered: (B, K * K) booleans."""
        covered: Tensor = self.blocks.covered_share(truth) >= self.covered_from
        return covered

    def forward(self, maps: Sequence[Tensor]) -> Occlusion:  # finest first
        logits = self.detector(maps)
        return Occlusion(self._mask(logits), logits)

    def mask_logits(self, maps: Sequence[Tensor]) -> Tensor:  # finest first -> (B, C, H, W)
        """The mask alone; it depends on the covered blocks, so the detector runs for it, too."""
        return self._mask(self.detector(maps))

    def _mask(self, logits: Tensor) -> Tensor:  # (B, K * K) -> (B, C, H, W)
        discard = self.discarded(logits >= math.log(self.covered_from / (1 - self.covered_from)))
        hard = KEEP * (1 - 2 * discard.to(logits))
        # Straight through: the gradient is that of the log-probability that no covered block discards the feature.
        items = (self.dictionary.flatten(1) >= self.discard_from).to(logits)
        soft: Tensor = (-F.softplus(logits) @ items).reshape(-1, *self.dictionary.shape[1:])
        return hard + (soft - soft.detach())

    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor:  # scalar
        """The detector's: binary cross entropy of the blocks with their covered shares."""
        if occlusion.pattern is None:
            raise ShapeError("the loss needs the blocks: call the model in training mode or with occlusion=True")
        share = self.blocks.covered_share(truth).to(occlusion.pattern)
        return F.binary_cross_entropy_with_logits(occlusion.pattern, share)

    def answer(self, pattern: Tensor) -> OcclusionAnswer:  # (B, K * K) block logits
        """Each block's probability, the box around the blocks that count as covered, and the likeliest block's."""
        probability = pattern.sigmoid()
        box = self.blocks.box_around(probability >= self.covered_from)
        return OcclusionAnswer(probability.unflatten(1, (self.k, self.k)), box.to(pattern), probability.amax(1))
