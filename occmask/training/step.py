"""One training step: forward, the objective's losses, backward, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from ..models.face import FaceModel
from ..shapes import FaceBatch
from .blame import check_losses, who_made_nan, whose_gradient
from .objectives import Objective
from .recipe import CLASSIFIER, Recipe


class StepResult(NamedTuple):
    """What one step cost; floats."""

    total: float
    terms: Mapping[str, float]  # the objective's, by name
    embedding: Tensor | None  # (B, D), detached


@contextmanager
def training_mode(model: FaceModel, loss: nn.Module, recipe: Recipe) -> Iterator[None]:
    """Training mode, and evaluation mode afterwards; what the recipe freezes learns nothing in between.

    A frozen part takes no gradient and keeps its BatchNorm statistics.
    """
    model.train()
    loss.train()
    frozen: list[nn.Parameter] = []
    for name in recipe.freezes:
        part = loss if name == CLASSIFIER else _inside(model, name)
        if isinstance(part, nn.Module):
            frozen += [parameter for parameter in part.parameters() if parameter.requires_grad]
            part.eval()
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
        model.eval()
        loss.eval()


def _inside(model: FaceModel, path: str) -> nn.Module | None:
    """What lies at a dotted path, if the model has it."""
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def training_step(
    model: FaceModel,
    loss: nn.Module,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    batch: FaceBatch,
    recipe: Recipe,
    *,
    index: int,
) -> StepResult:
    """Update what is trained on one batch.

    Raises `TrainingError`, before anything is updated, when the loss or its gradient is not finite.
    """
    losses = check_losses(objective(model, loss, batch), recipe)  # type: ignore[arg-type]
    _require_finite(
        losses.total, "loss", losses.terms, index, recipe, lambda: who_made_nan(model, loss, losses, batch, recipe)
    )
    optimiser.zero_grad(set_to_none=True)
    losses.total.backward()
    if recipe.clip_gradient is not None:
        parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters])
        _require_finite(norm, "gradient", {}, index, recipe, lambda: whose_gradient(model, loss, recipe))
        nn.utils.clip_grads_with_norm_(parameters, recipe.clip_gradient, norm)
    optimiser.step()
    terms = {name: term.item() for name, term in losses.terms.items()}
    embedding = None if losses.embedding is None else losses.embedding.detach()
    return StepResult(losses.total.item(), terms, embedding)


def _require_finite(
    value: Tensor, what: str, terms: Mapping[str, Tensor], index: int, recipe: Recipe, culprit: Callable[[], str]
) -> None:
    if not math.isfinite(value.item()):
        listed = ", ".join(f"{name} {term.item():g}" for name, term in terms.items())
        raise TrainingError(
            f"the {what} is {value.item()} at step {index + 1} of recipe {recipe.name!r}"
            f"{f' ({listed})' if listed else ''}; it began in {culprit()}. "
            "The last checkpoint is kept; lower the learning rate, raise warm_up or set clip_gradient"
        )
