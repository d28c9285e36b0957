"""Methods: whole answers to occlusion, from the baseline to the finished model, as plain data.

A method says what it adds to a recogniser and which recipes it is trained by, one after another.  A budget says how
long and with which settings, so that every method of a comparison gets the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..data.faces import FaceSet
from ..errors import OptionError
from ..margins import build_loss
from ..margins.loss import MarginLoss
from ..models.builder import build
from ..models.config import MODELS, ModelConfig
from ..models.face import FaceModel
from ..spec import Spec
from . import METHODS
from .budgets import Budget
from .loop import train
from .recipe import Recipe, recipe_named


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One run of a recipe, on the model and the class weights that the stage before it left.

    `share` is its part of a method's steps under a budget that counts them; `settings` change the recipe under every
    budget, `small` only under one for few small faces, where they win over the budget's own.
    """

    recipe: str
    share: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Method:
    """An answer to occlusion: what it adds to a recogniser, and the stages that train it.

    `model` makes the method's config of FROM's, such as that of "from_tiny" (take away with `head=None`, or add).
    `starts_from` is the method whose trunk, embedding and class weights it continues (None: fresh weights);
    `control` the one that it is compared with; `family` what kind of answer it is, in a word or two.  A comparison of
    everything takes it in if it is `compared`: set False for variants that only answer a question of their own.
    """

    summary: str
    family: str
    model: Callable[[ModelConfig], ModelConfig]
    stages: tuple[Stage, ...]
    starts_from: str | None = "baseline"
    control: str | None = "augmented"
    compared: bool = True


class Trained(NamedTuple):
    """A recogniser that a method has trained, in evaluation mode, and what it took."""

    model: FaceModel
    loss: MarginLoss
    seconds: float  # of training, without the method it started from
    steps: int


def method_named(name: str) -> Method:
    """The method of that name."""
    return METHODS[name]()


def stage_recipe(method: Method, index: int, budget: Budget, *, num_faces: int, seed: int) -> Recipe:
    """The recipe of one stage under a budget.

    All methods that start from the same one see the same faces in their first stage, and others in each later one.
    """
    stage = method.stages[index]
    first = method.starts_from is None and index == 0
    changes = {**stage.settings, **budget.settings(first=first), **(stage.small if budget.small else {})}
    steps = budget.steps(stage.share, first=first)
    recipe = recipe_named(stage.recipe, **changes)
    if steps is not None:
        recipe = recipe.override(epochs=steps * recipe.batch_size / num_faces)
    return recipe.override(seed=seed if first else seed + 500 * (index + 1))


def train_method(
    name: str,
    faces: FaceSet,
    *,
    base: str | ModelConfig,
    margin: Spec,
    budget: Budget,
    seed: int = 0,
    start: Trained | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    progress: bool = True,
) -> Trained:
    """Train a method on faces, all of its stages.

    `base`: the FROM model whose trunk and embedding every method of a comparison shares; `start`: what `starts_from`
    has trained.  `out`: a folder that gets one folder of checkpoints a stage; `resume`: go on from those.
    Raises what `build` and `train` raise.
    """
    method = method_named(name)
    if (start is None) != (method.starts_from is None):
        raise OptionError(
            f"method {name!r} starts from {method.starts_from!r}; train that first and give it as start"
            if method.starts_from
            else f"method {name!r} starts from nothing; leave start out"
        )
    torch.manual_seed(seed)
    config = build_config(base).override(template=faces.template)
    model = build(method.model(config))
    loss = build_loss(margin, embedding_dim=model.width, num_classes=faces.num_people)
    if start is not None:
        _continue(model, loss, start)
    seconds, steps = 0.0, 0
    for index, stage in enumerate(method.stages):
        recipe = stage_recipe(method, index, budget, num_faces=len(faces), seed=seed)
        folder = None if out is None else Path(out) / f"{index + 1}-{stage.recipe}"
        summary = train(model, loss, faces, recipe, out=folder, resume=resume, device=device, progress=progress)
        seconds, steps = seconds + summary.seconds, steps + summary.steps
    return Trained(model, loss, seconds, steps)


def build_config(base: str | ModelConfig) -> ModelConfig:
    """The config that methods change."""

    return MODELS[base]() if isinstance(base, str) else base


def _continue(model: FaceModel, loss: MarginLoss, start: Trained) -> None:
    """Trunk and embedding of what was trained before, and its class weights where the embedding is as wide."""
    for part in ("backbone", "embedding"):
        model.get_submodule(part).load_state_dict(copy.deepcopy(start.model.get_submodule(part).state_dict()))
    if loss.embedding_dim == start.loss.embedding_dim:
        loss.load_state_dict(start.loss.state_dict())
