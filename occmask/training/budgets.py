"""Budgets: how long every method of a comparison trains, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import OptionError
from ..spec import Spec


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The same for every method: steps, batches, optimiser and augmentation.

    `first_steps` are those of a method that starts from nothing, `more_steps` those that every other method spreads
    over its stages (None: as many as each recipe asks for).  `common`, `first` and `more` change the recipes' settings;
    `small` says that the faces are few and small, so that a stage's own settings for that case hold.
    """

    first_steps: int | None = None
    more_steps: int | None = None
    common: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    small: bool = False
    margin: Spec = Spec("cosface")  # the margin loss of every method

    def __post_init__(self) -> None:
        for option in ("first_steps", "more_steps"):
            value = getattr(self, option)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise OptionError(f"{option} is a positive whole number, or None, not {value!r}")

    def cut_to(self, steps: int | None) -> Budget:
        """The same with every method cut to so many steps, for a quick look (None: as it is)."""
        return self if steps is None else replace(self, first_steps=steps, more_steps=steps)

    def settings(self, *, first: bool) -> dict[str, Any]:
        """Changes of a recipe's settings."""
        return {**self.common, **(self.first if first else self.more)}

    def steps(self, share: float, *, first: bool) -> int | None:
        """Steps of a stage that has this share of a method's; None: as its recipe says."""
        if first:
            return self.first_steps
        return None if self.more_steps is None else max(1, round(share * self.more_steps))


# Everything as each recipe was published: for hundreds of thousands of faces.
PUBLISHED = Budget()

# A few hundred small faces on a CPU.  What was chosen how: docs/decisions/005-demo-settings.md.
SMALL = Budget(
    first_steps=150,
    more_steps=300,
    common={
        "batch_size": 32,
        "schedule": Spec("cosine"),
        "warm_up": 0.1,
        "clip_gradient": 5.0,
        "jitter": 0.15,  # of the contrast
        "shift": 4,  # pixels
    },
    first={"optimiser": Spec("sgd", learning_rate=0.05, momentum=0.9, nesterov=True)},
    more={"optimiser": Spec("adamw", learning_rate=1e-3), "parts_learning_rate": 3e-3},
    small=True,
    margin=Spec("cosface", scale=16.0, margin=0.2),
)

BUDGETS: dict[str, Budget] = {"published": PUBLISHED, "small": SMALL}
