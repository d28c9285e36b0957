"""Recipes: how each method is trained, as plain data.

Defaults are those of the published training (Qiu et al.; a first stage on clean faces, a second one on top of it):
SGD with momentum 0.9, weight decay 5e-4, batches of 512, 40 epochs, and steps of 0.1 in the learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..errors import OptionError, did_you_mean
from ..models.config import OCCLUSION_PARTS, PARTS
from ..occluders.occluder import TRAIN_OCCLUDERS, VARIED_OCCLUDERS
from ..spec import Spec
from . import RECIPES
from .optimisation import check_optimiser, check_schedule

CLASSIFIER = "classifier"  # the margin loss: its class weights and what an adaptive margin keeps


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about a training run except the model, the loss and the faces."""

    name: str
    parts: tuple[str, ...]  # what the model has besides the recogniser, of `OCCLUSION_PARTS`
    starts_from: str | None  # the recipe whose trunk, embedding and class weights it continues
    clean_share: float  # of the faces that stay uncovered, in [0, 1]
    occluders: tuple[Spec, ...] = TRAIN_OCCLUDERS  # what covers the others
    placement: Spec = Spec("anywhere")  # and where it goes
    objective: Spec = Spec("identity")  # what a step minimises
    # what keeps its weights and BatchNorm statistics: parts, what is inside them ("head.gate"), or `CLASSIFIER`
    freezes: tuple[str, ...] = ()
    epochs: float = 40.0
    batch_size: int = 512
    optimiser: Spec = Spec("sgd", learning_rate=0.1, momentum=0.9, nesterov=False)
    parts_learning_rate: float | None = None  # of `parts` and the objective's own; None: the optimiser's
    weight_decay: float = 5e-4
    schedule: Spec = Spec("step", at=(15 / 40, 30 / 40), factor=0.1)
    warm_up: float = 0.0  # share of the steps in which the learning rate rises from zero
    occlusion_weight: float = 1.0  # lambda: total = margin loss + lambda * prediction loss
    clip_gradient: float | None = None  # largest norm of the whole gradient
    flip: bool = True
    jitter: float = 0.0  # largest change of the contrast, as a share
    shift: int = 0  # largest move of the picture, in pixels
    warp: float = 0.0  # largest change of its scale, as a share; it is turned, too: see `data.variation`
    relight: float = 0.0  # how much light and shadow vary over it
    seed: int = 0
    log_every: int = 10  # steps
    checkpoint_every: int = 500  # steps

    def __post_init__(self) -> None:
        object.__setattr__(self, "optimiser", check_optimiser(Spec.of(self.optimiser)))
        object.__setattr__(self, "schedule", check_schedule(Spec.of(self.schedule)))
        object.__setattr__(self, "objective", Spec.of(self.objective))
        object.__setattr__(self, "placement", Spec.of(self.placement))
        object.__setattr__(self, "occluders", self._specs("occluders"))
        object.__setattr__(self, "parts", self._names("parts", OCCLUSION_PARTS))
        object.__setattr__(self, "freezes", self._names("freezes", (*PARTS, CLASSIFIER)))
        for option in ("epochs", "batch_size", "log_every", "checkpoint_every"):
            self._require(option, lambda v: v > 0, "is positive")
        for option in ("clean_share", "warm_up", "jitter", "warp", "relight"):
            self._require(option, lambda v: 0 <= v <= 1, "lies in [0, 1]")
        for option in ("weight_decay", "occlusion_weight", "shift", "seed"):
            self._require(option, lambda v: v >= 0, "is zero or more")
        for option in ("parts_learning_rate", "clip_gradient"):
            if getattr(self, option) is not None:
                self._require(option, lambda v: v > 0, "is positive, or None")
        for option in ("batch_size", "shift", "seed", "log_every", "checkpoint_every"):
            self._require(option, lambda v: isinstance(v, int), "is a whole number")
        if not isinstance(self.flip, bool):  # the word "no" would count as true
            raise OptionError(f"recipe {self.name!r}: flip is true or false, not {self.flip!r}")
        if self.batch_size < 2:
            raise OptionError(f"recipe {self.name!r}: batch_size is at least 2 (BatchNorm), not {self.batch_size!r}")

    def _specs(self, option: str) -> tuple[Spec, ...]:
        value = getattr(self, option)
        if isinstance(value, (str, Spec, Mapping)) or not len(value):
            raise OptionError(f"recipe {self.name!r}: {option} is a list of at least one, such as ['cup'], not {value}")
        return tuple(Spec.of(one) for one in value)

    def _names(self, option: str, known: tuple[str, ...]) -> tuple[str, ...]:
        value = getattr(self, option)
        if isinstance(value, str) or any(name.split(".")[0] not in known for name in value):
            raise OptionError(f"recipe {self.name!r}: {option} is a list of some of {', '.join(known)}, not {value!r}")
        return tuple(value)

    def _require(self, option: str, holds: Callable[[Any], bool], rule: str) -> None:
        value = getattr(self, option)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not (number and holds(value)):
            raise OptionError(f"recipe {self.name!r}: {option} {rule}, not {value!r}")

    def num_steps(self, num_faces: int) -> int:
        """Steps of the whole run: batches are cut from an endless stream, so no face is left out."""
        return max(1, round(self.epochs * num_faces / self.batch_size))

    def override(self, **changes: Any) -> Recipe:
        """A changed copy; an option of the optimiser goes by its own name (`learning_rate=0.05`), too.

        Unknown settings are an `OptionError`.
        """
        known = [field.name for field in fields(self)]
        optimiser = Spec.of(changes.get("optimiser", self.optimiser))
        own = {key: changes.pop(key) for key in list(changes) if key not in known and key in optimiser.options}
        if own:
            changes["optimiser"] = optimiser.replace(**own)
        for key in changes:
            if key not in known:
                raise OptionError(
                    f"a recipe has no setting {key!r}.{did_you_mean(key, known)} Settings: {', '.join(known)}"
                )
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        specs = {name: value.to_dict() for name, value in plain.items() if isinstance(value, Spec)}
        return plain | specs | {"occluders": [occluder.to_dict() for occluder in self.occluders]}


def baseline(**changes: Any) -> Recipe:
    """The plain recogniser on clean faces, from scratch: the paper's first stage."""
    recipe = Recipe(name="baseline", parts=(), starts_from=None, clean_share=1.0)
    return recipe.override(**changes)


def augmented(**changes: Any) -> Recipe:
    """The control: the baseline goes on with the same covered faces as FROM and no mask branch."""
    recipe = Recipe(
        name="augmented",
        parts=(),
        starts_from="baseline",
        clean_share=1 / 3,
        optimiser=Spec("sgd", learning_rate=0.01, momentum=0.9, nesterov=False),
        schedule=Spec("step", at=(10 / 40, 25 / 40), factor=0.1),
    )
    return recipe.override(**changes)


def from_(**changes: Any) -> Recipe:
    """FROM: the baseline's trunk and classifier go on with covered faces and the mask branch, all trained."""
    return augmented().override(**{"name": "from", "parts": ("head",), **changes})


def retrofit(**changes: Any) -> Recipe:
    """Keep your recogniser, add an occlusion head: trunk frozen, head and embedding trained."""
    return from_().override(**{"name": "retrofit", "freezes": ("backbone",), **changes})


def frozen(**changes: Any) -> Recipe:
    """The control of `retrofit`: trunk frozen, the embedding trained on the same covered faces, no mask branch."""
    return augmented().override(**{"name": "frozen", "freezes": ("backbone",), **changes})


def occupancy(**changes: Any) -> Recipe:
    """What is covered, learnt by an `occupancy` head on a recogniser that stays as it is; needs no identities.

    One pass is for a large folder of faces; a few hundred need a thousand steps, which `train_head` gives them.  What
    was tried: docs/decisions/012-occupancy-ladder.md.
    """
    recipe = Recipe(
        name="occupancy",
        parts=("head",),
        starts_from="baseline",
        clean_share=0.4,
        occluders=VARIED_OCCLUDERS,
        placement=Spec("anywhere", scales=(0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)),
        objective=Spec("occlusion"),
        freezes=("backbone", "embedding", "head.gate"),
        epochs=1.0,
        batch_size=32,
        optimiser=Spec("adamw", learning_rate=3e-3),
        schedule=Spec("cosine"),
        warm_up=0.05,
        weight_decay=1e-2,
        clip_gradient=5.0,
        jitter=0.15,
        shift=4,
        warp=0.12,
        relight=0.35,
    )
    return recipe.override(**changes)


def recipe_named(name: str, **changes: Any) -> Recipe:
    """The recipe of that name with some settings changed."""
    return RECIPES[name](**changes)
