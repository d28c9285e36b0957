"""One training step: forward, the two losses, backward, update."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from ..models.face import FaceModel
from ..shapes import FaceBatch, OcclusionTruth
from .recipe import Recipe


class StepResult(NamedTuple):
    """What one step cost; floats."""

    total: float  # identity + lambda * occlusion
    identity: float  # margin loss
    occlusion: float  # the head's prediction loss; 0 without a head
    embedding: Tensor  # (B, D), detached


def prepare(model: FaceModel, recipe: Recipe) -> None:
    """Training mode; a frozen trunk takes no gradient and keeps its BatchNorm statistics."""
    model.train()
    if recipe.freezes_trunk:
        model.backbone.requires_grad_(False)  # type: ignore[attr-defined]
        model.backbone.eval()  # type: ignore[attr-defined]


def training_step(
    model: FaceModel,
    loss: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: FaceBatch,
    recipe: Recipe,
    *,
    index: int,
) -> StepResult:
    """Update the model on one batch: total = margin loss + lambda * prediction loss.

    Raises `TrainingError`, before anything is updated, when the loss or its gradient is not finite.
    """
    output = model(batch.image)
    identity = loss(output.embedding, batch.label)
    occlusion = identity.new_zeros(())
    if model.head is not None and recipe.occlusion_weight > 0:
        occlusion = model.occlusion_loss(output, batch.truth or _nothing_covered(batch))
    total = identity + recipe.occlusion_weight * occlusion
    _require_finite(total, "loss", index, recipe)
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    if recipe.clip_gradient is not None:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, recipe.clip_gradient)
        _require_finite(norm, "gradient", index, recipe)
    optimiser.step()
    return StepResult(total.item(), identity.item(), occlusion.item(), output.embedding.detach())


def _nothing_covered(batch: FaceBatch) -> OcclusionTruth:
    return OcclusionTruth(batch.image.new_zeros(batch.image.shape[0], 4))


def _require_finite(value: Tensor, what: str, index: int, recipe: Recipe) -> None:
    if not math.isfinite(value.item()):
        raise TrainingError(
            f"the {what} is {value.item()} at step {index + 1} of recipe {recipe.name!r}; the last checkpoint is kept. "
            "Lower the learning rate, raise warm_up or set clip_gradient"
        )
