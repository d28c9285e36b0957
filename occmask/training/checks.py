"""Whether a model, a loss, faces and a recipe go together, asked before anything is trained."""

from __future__ import annotations

from ..data.faces import FaceSet
from ..errors import OptionError, TrainingError
from ..margins.loss import MarginLoss
from ..models.config import COMPONENTS
from ..models.face import FaceModel
from .objectives import names_people
from .recipe import Recipe


def check_people(model: FaceModel, loss: MarginLoss | None, faces: FaceSet, recipe: Recipe) -> None:
    """Raise `OptionError` or `TrainingError` unless the loss has these faces' people, where the recipe names any."""
    if not names_people(recipe.objective):
        if loss is not None:
            raise OptionError(
                f"recipe {recipe.name!r} names nobody and trains no class weights; give None for the loss"
            )
        return
    if loss is None:
        raise OptionError(
            f"recipe {recipe.name!r} learns who people are; give it a loss, such as occmask.build_loss makes"
        )
    if faces.num_people < 2:
        raise TrainingError(f"training needs faces of at least 2 people, and this set has {faces.num_people}")
    if faces.labels.max() >= faces.num_people:
        raise OptionError("the labels of these faces leave some people out; train on faces.relabel()")
    if loss.num_classes != faces.num_people:
        raise OptionError(
            f"the loss has {loss.num_classes} classes and the set {faces.num_people} people; "
            f"build it with num_classes={faces.num_people}"
        )
    if loss.embedding_dim != model.width:
        raise OptionError(f"the model embeds in {model.width} dimensions; build the loss with that embedding_dim")


def check_parts(model: FaceModel, recipe: Recipe) -> None:
    """Raise `OptionError` unless the model has the parts that the recipe trains, and no others."""
    missing = [name for name in recipe.parts if name not in model.config.occlusion_parts]
    if missing:
        raise OptionError(
            f"recipe {recipe.name!r} trains a {missing[0]}; build the model with one, such as {missing[0]}="
            f"{next(iter(COMPONENTS[missing[0]]), 'that of a plug-in')!r}"
        )
    extra = [name for name in model.config.occlusion_parts if name not in recipe.parts]
    if extra:
        raise OptionError(f"recipe {recipe.name!r} trains without a {extra[0]}; build the model with {extra[0]}=None")
