"""Who first made NaN, when a training step has gone wrong: looked for then, and never before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from ..margins import MARGINS
from ..margins.loss import MarginLoss
from ..models.config import PARTS
from ..models.face import FaceModel
from ..models.trust import first_nonfinite, named
from ..registry import Registry
from ..shapes import FaceBatch
from . import OBJECTIVES
from .objectives import Losses
from .recipe import Recipe


def check_losses(losses: Any, recipe: Recipe) -> Losses:
    """What an objective returned, or a `TrainingError` that names it."""
    found = losses if isinstance(losses, Losses) else None
    if found is None or not isinstance(found.total, Tensor) or found.total.ndim or not found.total.requires_grad:
        wrong = "a total that is no scalar with a gradient" if found is not None else f"a {type(losses).__name__}"
    elif not isinstance(found.terms, Mapping) or any(not isinstance(t, Tensor) or t.ndim for t in found.terms.values()):
        wrong = "terms that are no scalars by name"
    else:
        return found
    raise TrainingError(f"{_named_objective(recipe)} returned {wrong}; promised is an occmask.Losses of scalar tensors")


def who_made_nan(model: FaceModel, loss: nn.Module, losses: Losses, batch: FaceBatch, recipe: Recipe) -> str:
    """Words for the first component whose answer to this batch is not finite.

    The batch runs once more without gradients.  What is finite then too, such as a batch of other dropout, is put down
    to the objective, which made the loss.
    """
    culprit = first_nonfinite(model, batch.image)
    if culprit is not None:
        return culprit
    with torch.no_grad(), torch.random.fork_rng():
        e = losses.embedding
        if isinstance(loss, MarginLoss) and e is not None and not _finite(loss.eval()(e, batch.label)):
            return f"the loss of {_named('margin', MARGINS, loss.spec.name)}"
    bad = [name for name, term in losses.terms.items() if not _finite(term)]
    occlusion = [part for part in recipe.parts if hasattr(getattr(model, part), "loss")]
    if "occlusion" in bad and len(occlusion) == 1:
        return f"the loss of {named(model.config, occlusion[0])}"
    return f"the {' and '.join(bad) or 'total'} loss of {_named_objective(recipe)}"


def whose_gradient(model: FaceModel, loss: nn.Module, recipe: Recipe) -> str:
    """Words for the part in which a backward pass, which goes from the loss to the pictures, first was not finite."""
    if isinstance(loss, MarginLoss) and _spoilt(loss):
        return f"the gradient of {_named('margin', MARGINS, loss.spec.name)}"
    for part in reversed(PARTS):
        module = getattr(model, part)
        if module is not None and _spoilt(module):
            return f"the gradient of {named(model.config, part)}"
    return f"the gradient of {_named_objective(recipe)}"


def _spoilt(module: nn.Module) -> bool:
    return any(p.grad is not None and not _finite(p.grad) for p in module.parameters())


def _finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def _named_objective(recipe: Recipe) -> str:
    return _named("objective", OBJECTIVES, recipe.objective.name)


def _named(kind: str, registry: Registry[Any], name: str) -> str:
    plugin = registry.plugin_of(name)
    return f"{kind} {name!r}" + (f" of plug-in {plugin!r}" if plugin else "")
