"""Train each recipe of the demo, the later ones from the baseline's trunk and classifier."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ..data.faces import FaceSet
from ..margins import build_loss
from ..margins.loss import MarginLoss
from ..models import build
from ..models.face import FaceModel
from ..training import train
from .settings import MARGIN, MODEL, demo_recipe


class Method(NamedTuple):
    """A trained recogniser and what it took."""

    model: FaceModel
    loss: MarginLoss
    seconds: float  # of training
    steps: int


def train_methods(
    faces: FaceSet, recipes: Sequence[str], *, seed: int, steps: int | None, progress: bool
) -> dict[str, Method]:
    """The trained methods by recipe; `recipes` begins with "baseline"."""
    methods: dict[str, Method] = {}
    for name in recipes:
        recipe = demo_recipe(name, num_faces=len(faces), seed=seed, steps=steps)
        torch.manual_seed(seed)
        model = build(MODEL, template=faces.template, **({} if recipe.has_head else {"head": None}))
        loss = build_loss(MARGIN, embedding_dim=model.embedding.width, num_classes=faces.num_people)
        if recipe.starts_from is not None:
            start = methods[recipe.starts_from]
            for part in ("backbone", "embedding"):
                model.get_submodule(part).load_state_dict(copy.deepcopy(start.model.get_submodule(part).state_dict()))
            loss.load_state_dict(start.loss.state_dict())
        summary = train(model, loss, faces, recipe, progress=progress)
        methods[name] = Method(model, loss, summary.seconds, summary.steps)
    return methods
