"""Training a head that was attached to a recogniser, which stays as it is."""

from __future__ import annotations

from typing import Any

from ..data.faces import FaceSet
from ..models.config import OCCLUSION_PARTS
from ..models.face import FaceModel
from .loop import TrainingSummary, train
from .recipe import Recipe, recipe_named

LEAST_STEPS = 1500  # for a few hundred faces; chosen on people whom no figure of the documentation was measured on


def train_head(
    model: FaceModel,
    faces: FaceSet,
    *,
    steps: int | None = None,
    device: str = "cpu",
    workers: int = 0,
    progress: bool = True,
    **changes: Any,
) -> TrainingSummary:
    """Train the head of `occmask.attach(model)` on faces of anybody, covered by the recipe "occupancy".

    `steps`: how many; None is one pass over the faces, at least 1500.  `changes` are settings of the recipe.  The
    embeddings stay what they were.  Raises what `train` raises.
    """
    recipe = head_recipe(model, num_faces=len(faces), steps=steps, **changes)
    return train(model, None, faces, recipe, device=device, workers=workers, progress=progress)


def head_recipe(model: FaceModel, *, num_faces: int, steps: int | None = None, **changes: Any) -> Recipe:
    """The recipe "occupancy" for so many faces; whatever else the model has is frozen."""
    others = [part for part in OCCLUSION_PARTS if part != "head" and part in model.config.occlusion_parts]
    recipe = recipe_named("occupancy", parts=model.config.occlusion_parts)
    recipe = recipe.override(freezes=(*recipe.freezes, *others)).override(**changes)
    if steps is None:
        steps = max(LEAST_STEPS, recipe.num_steps(num_faces))
    return recipe.override(epochs=steps * recipe.batch_size / num_faces)
