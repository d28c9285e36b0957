"""Checkpoints: model, class weights, optimiser and random state in one atomically written safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..margins.loss import MarginLoss
from ..models.face import FaceModel
from ..models.files import read_tensors, write_tensors
from ..models.weights import TRAINING, load_weights, model_metadata, model_tensors
from .recipe import Recipe

_SLOT, _LOSS, _OBJECTIVE = (f"{TRAINING}{what}." for what in ("optimiser", "loss", "objective"))


def save_checkpoint(
    path: Path,
    model: FaceModel,
    loss: nn.Module,
    objective: nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    *,
    steps_done: int,
) -> None:
    """Everything needed to go on as if nothing had happened; `occmask.load_model` reads the same file."""
    tensors = model_tensors(model)
    tensors |= {f"{_LOSS}{name}": value.clone() for name, value in loss.state_dict().items()}
    tensors |= {f"{_OBJECTIVE}{name}": value.clone() for name, value in objective.state_dict().items()}
    for index, slots in optimiser.state_dict()["state"].items():
        tensors |= {f"{_SLOT}{index}.{name}": value.clone() for name, value in slots.items() if value is not None}
    tensors[f"{TRAINING}random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors[f"{TRAINING}random.cuda"] = torch.cuda.get_rng_state()
    own = {"recipe": json.dumps(recipe.to_dict()), "steps_done": str(steps_done)}
    write_tensors(path, tensors, model_metadata(model) | own)


def resume_checkpoint(
    path: Path,
    model: FaceModel,
    loss: nn.Module,
    objective: nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
) -> int:
    """Restore everything `save_checkpoint` wrote; returns how many steps were done.

    Raises `CheckpointError` when the file belongs to another model, loss or recipe.
    """
    tensors, metadata = read_tensors(path)
    if "steps_done" not in metadata:
        raise CheckpointError(f"{path} holds weights and no training state; start from it instead of resuming")
    _check_recipe(path, json.loads(metadata["recipe"]), json.loads(json.dumps(recipe.to_dict())))
    state = optimiser.state_dict()
    state["state"] = _optimiser_slots(tensors)
    loss_state = _state(path, tensors, _LOSS, loss, advice="loss (they differ in {}); resume with the same margin")
    own = _state(path, tensors, _OBJECTIVE, objective, advice="objective (they differ in {}); resume with the same")
    load_weights(model, path, loss=loss if isinstance(loss, MarginLoss) else None)
    objective.load_state_dict(own)
    loss.load_state_dict(loss_state)  # beside the class weights, what an adaptive margin has learnt
    optimiser.load_state_dict(state)
    torch.set_rng_state(tensors[f"{TRAINING}random.cpu"])
    if torch.cuda.is_available() and f"{TRAINING}random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors[f"{TRAINING}random.cuda"])
    return int(metadata["steps_done"])


def _optimiser_slots(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(_SLOT):
            index, slot = name.removeprefix(_SLOT).split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
    return slots


def _state(path: Path, tensors: dict[str, Tensor], slot: str, module: nn.Module, *, advice: str) -> dict[str, Tensor]:
    """The module's tensors in the file.  How many classes there are, `load_weights` says better."""
    saved = {name.removeprefix(slot): value for name, value in tensors.items() if name.startswith(slot)}
    wanted = module.state_dict()
    other = sorted(saved.keys() ^ wanted.keys())
    other += [name for name in saved if name in wanted and name != "weight" and saved[name].shape != wanted[name].shape]
    if other:
        raise CheckpointError(f"{path} was trained with another {advice.format(', '.join(other))}")
    return saved


def _check_recipe(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    # How often to log or save does not change the weights; everything else does.
    free = {"log_every", "checkpoint_every"}
    changed = [key for key in wanted if key not in free and saved.get(key) != wanted[key]]
    if changed:
        listed = ", ".join(f"{key} was {saved.get(key)!r} and is now {wanted[key]!r}" for key in changed)
        raise CheckpointError(f"{path} was trained with another recipe ({listed}); resume with the same, or start anew")
