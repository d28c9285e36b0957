"""What is read off a face besides its embedding: the summands of it, what is visible, which regions are covered."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from occmask_kernels.masking import mask_apply

from ..embeddings import Embedding
from ..errors import OptionError
from ..images.face_regions import region_weights
from ..images.input_spec import InputSpec
from ..shapes import OcclusionAnswer


def summands_of(embedding: Embedding, top: Tensor, gate: Tensor | None, threshold: float | None) -> Tensor:
    """What each place of the top map (B, C, H, W) adds to the embedding: (B, H * W, D), which sum to it.

    gate: logits (B, D) of a mask on the finished embedding, or None.
    """
    parts = getattr(embedding, "parts", None)
    if parts is None:
        raise OptionError(
            f"an embedding of type {type(embedding).__name__} has no parts; use one that has, such as 'flat'"
        )
    summands: Tensor = parts(top)  # (B, P, D)
    if gate is None:
        return summands
    gates = gate[:, None].expand_as(summands).flatten(0, 1)
    return mask_apply(summands.flatten(0, 1), gates, threshold=threshold).view_as(summands)


def visible_share(answer: OcclusionAnswer, grid: tuple[int, int]) -> Tensor:
    """How much of each place of a grid of rows and columns is visible: (B, rows * columns), row by row."""
    covered = answer.cells if answer.coverage is None else answer.coverage  # (B, h, w)
    return 1 - F.adaptive_avg_pool2d(covered[:, None], grid).flatten(1)


def with_regions(answer: OcclusionAnswer, spec: InputSpec) -> OcclusionAnswer:
    """The answer with its finest map, and the covered share of each region of a face aligned like `spec`."""
    coverage = answer.cells if answer.coverage is None else answer.coverage
    weights = region_weights(spec.size, (coverage.shape[1], coverage.shape[2]))
    regions = coverage.flatten(1) @ torch.tensor(weights).to(coverage).T
    return answer._replace(coverage=coverage, regions=regions.clamp(0, 1))
