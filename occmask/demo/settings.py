"""What the demo runs, as plain data.

The optimiser settings were chosen on ORL pictures 4-5 of each person with training occluders only; the probes
(pictures 6-10, other occluders and textures) took no part (docs/decisions/005-demo-settings.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OptionError, UnknownNameError
from ..spec import Spec
from ..training import Recipe, recipe_named

MODEL = "from_tiny"
MARGIN = Spec("cosface", scale=16.0, margin=0.2)
FAR = 1e-2
BATCH_SIZE = 32
DEFAULT_RECIPES = ("baseline", "augmented", "from")
ALL_RECIPES = (*DEFAULT_RECIPES, "frozen", "retrofit")

# The question each recipe answers is a comparison with this other one.
CONTROLS = {"augmented": "baseline", "from": "augmented", "frozen": "baseline", "retrofit": "frozen"}

_SECOND_STAGE: dict[str, Any] = {"optimiser": Spec("adamw", learning_rate=1e-3), "head_learning_rate": 3e-3}
_JITTER, _SHIFT = 0.15, 4  # contrast, and pixels
_SETTINGS: dict[str, dict[str, Any]] = {
    "baseline": {"optimiser": Spec("sgd", learning_rate=0.05, momentum=0.9, nesterov=True)},
    "augmented": _SECOND_STAGE,
    "from": _SECOND_STAGE,
    "frozen": _SECOND_STAGE,
    "retrofit": _SECOND_STAGE,
}
STEPS = {"baseline": 150, "augmented": 300, "from": 300, "frozen": 400, "retrofit": 400}


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """What to run and where to put it.

    `seeds` repeats everything with other random numbers; `folds` adds verification of people nobody trained on;
    `steps` replaces every recipe's number of steps (for a quick look; the figures mean nothing then).
    """

    out: Path = Path("runs/demo")
    recipes: Sequence[str] = DEFAULT_RECIPES
    seeds: int = 1
    folds: bool = False
    steps: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        for name in self.recipes:
            if name not in ALL_RECIPES:
                raise UnknownNameError("recipe of the demo", name, (*ALL_RECIPES, "all"))
        for option in ("seeds", "steps"):
            value = getattr(self, option)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise OptionError(f"{option} is a positive whole number, not {value!r}")
        # The others start from the baseline, and a method is never shown without its control.
        wanted = {"baseline", *self.recipes} | {CONTROLS[name] for name in self.recipes if name in CONTROLS}
        object.__setattr__(self, "recipes", tuple(name for name in ALL_RECIPES if name in wanted))


def demo_recipe(name: str, *, num_faces: int, seed: int, steps: int | None) -> Recipe:
    """A recipe at the demo's size: small batches, few steps, a cosine with warm-up, gradients clipped."""
    return recipe_named(
        name,
        epochs=(steps or STEPS[name]) * BATCH_SIZE / num_faces,
        batch_size=BATCH_SIZE,
        schedule=Spec("cosine"),
        warm_up=0.1,
        clip_gradient=5.0,
        jitter=_JITTER,
        shift=_SHIFT,
        # The second stage sees other batches than the first, and all second stages see the same ones.
        seed=seed if name == "baseline" else seed + 500,
        **_SETTINGS[name],
    )
