"""What the demo runs, as plain data.

The optimiser settings were chosen on ORL pictures 4-5 of each person with training occluders only; the probes
(pictures 6-10, other occluders and textures) took no part (docs/decisions/005-demo-settings.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import OptionError, UnknownNameError
from ..training.budgets import SMALL
from ..training.methods import method_named, stage_recipe
from ..training.recipe import Recipe

MODEL = "from_tiny"
# The control's own weights with an occupancy head beside them, compared part by part: does the head's answer count?
MATCHED = {"augmented_parts": False, "augmented_fused": True}
HEAD_STEPS = 1000
DEFAULT_RECIPES = ("baseline", "augmented", *MATCHED, "from")
ALL_RECIPES = (*DEFAULT_RECIPES, "frozen", "retrofit")
TRAINED = tuple(name for name in ALL_RECIPES if name not in MATCHED)

# The question each recipe answers is a comparison with this other one.
CONTROLS = {name: control for name in TRAINED if (control := method_named(name).control) is not None}
CONTROLS |= {"augmented_parts": "augmented", "augmented_fused": "augmented_parts"}


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
        wanted |= {"augmented"} if wanted & MATCHED.keys() else set()
        object.__setattr__(self, "recipes", tuple(name for name in ALL_RECIPES if name in wanted))


def demo_recipe(name: str, *, num_faces: int, seed: int, steps: int | None) -> Recipe:
    """What a method of the demo is trained by; each has one stage."""
    return stage_recipe(method_named(name), 0, SMALL.cut_to(steps), num_faces=num_faces, seed=seed)
