"""Detectors: which blocks of a face are covered, told from the trunk's maps.

A detector is a module built as `factory(shapes: FaceShapes, blocks: Blocks, **options)` and called with the maps,
finest first; it returns logits (B, K * K) of "this block is covered".  More of them come from the entry-point group
`occmask_pdsn.detectors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occmask import HEADS, FaceShapes, OptionError, Registry, Spec

if TYPE_CHECKING:
    from .blocks import Blocks

DETECTORS: Registry[Any] = Registry(
    "PDSN detector",
    "occmask_pdsn.detectors",
    {"classifier": "occmask_pdsn.detectors:BlockClassifier", "from": "occmask_pdsn.detectors:FromDetector"},
)

_SURE = 1e-4  # probabilities are kept this far from 0 and 1, so that their logits stay finite


class BlockClassifier(nn.Module):
    """A small network that judges every block from the last `levels` maps, brought to K x K places each.

    `width`: channels of each level's features.  Textures that no face has are told best from the finer maps, where
    they begin and end from the coarser ones.
    """

    def __init__(self, shapes: FaceShapes, blocks: Blocks, *, width: int = 32, levels: int = 3):
        super().__init__()
        if width < 1 or not 1 <= levels <= len(shapes.maps):
            raise OptionError(
                f"PDSN detector 'classifier': width is at least 1 and levels 1 .. {len(shapes.maps)}, the trunk's "
                f"maps, not width={width!r}, levels={levels!r}"
            )
        self.k, self.levels = blocks.k, levels
        self.read = nn.ModuleList(
            nn.Sequential(nn.Conv2d(shape.channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))
            for shape in shapes.maps[-levels:]
        )
        self.judge = nn.Sequential(
            nn.Conv2d(levels * width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            nn.Conv2d(width, 1, 1),
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:  # finest first -> (B, K * K)
        seen = [
            F.adaptive_avg_pool2d(read(features), (self.k, self.k))
            for read, features in zip(self.read, maps[-self.levels :], strict=True)
        ]
        return self.judge(torch.cat(seen, dim=1)).flatten(1)  # type: ignore[no-any-return]


class FromDetector(nn.Module):
    """FROM's whole head as the detector: what its pattern predictor says about the blocks.

    `head`: FROM's head as a Spec; it reads the maps of the trunk that it is built on, so weights come from a checkpoint
    of FROM on the same trunk (recipe "retrofit"): `occmask_pdsn.with_from_detector(model, path)`.  Its predictor must
    answer for the same K.
    """

    def __init__(self, shapes: FaceShapes, blocks: Blocks, *, head: Spec | str = "from"):
        super().__init__()
        self.count = blocks.count
        self.head = HEADS.build(head, shapes)
        k = getattr(getattr(self.head, "pattern_predictor", None), "k", blocks.k)
        if k != blocks.k:
            raise OptionError(f"PDSN detector 'from': its head answers for k={k} and the dictionary has k={blocks.k}")

    def forward(self, maps: Sequence[Tensor]) -> Tensor:  # finest first -> (B, K * K)
        occlusion = self.head(maps)
        if occlusion.pattern is None:
            raise OptionError("PDSN detector 'from': its head predicts no pattern; take one that does, such as 'from'")
        cells = self.head.answer(occlusion.pattern).cells.flatten(1)
        return torch.logit(cells.clamp(_SURE, 1 - _SURE))
