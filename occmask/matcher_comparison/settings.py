"""What a comparison of matchers runs, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..errors import OptionError
from ..models.config import MODELS, ModelConfig
from ..occluders.conditions import AREAS, WORN
from ..shapes import Template
from ..spec import Spec
from ..training.budgets import SMALL, Budget

FAR = 1e-2
CONTROL = "cosine"  # every difference is to this entry, with the same weights
WITHOUT = "fused, no visibility"
CALIBRATED = "fused, calibrated"  # on the people of the other folds; needs two
OCCLUDED = (*AREAS, *WORN)
HALF_HIDDEN = ("area_40", "area_50")
MEANS: Mapping[str, tuple[str, ...]] = {"occluded": OCCLUDED, "area_40_50": HALF_HIDDEN}


def as_seen(template: Template, truth: Tensor) -> Template:
    """With what the model itself believes is visible."""
    return template


def unseen(template: Template, truth: Tensor) -> Template:
    """As if nobody had looked: every part counts the same."""
    return template._replace(visible=None)


def told(template: Template, truth: Tensor) -> Template:
    """With what is truly visible, (B, P): what a perfect head would give."""
    return template if template.parts is None else template._replace(visible=truth)


class Entry(NamedTuple):
    """One way of comparing the same templates."""

    name: str
    matcher: Spec
    view: Callable[[Template, Tensor], Template]


ENTRIES = (
    Entry(CONTROL, Spec("cosine"), as_seen),
    Entry("visible_cosine", Spec("visible_cosine"), as_seen),
    Entry("joint", Spec("joint"), as_seen),
    Entry("parts, no visibility", Spec("parts"), unseen),
    Entry("parts", Spec("parts"), as_seen),
    Entry(WITHOUT, Spec("fused"), unseen),
    Entry("fused", Spec("fused"), as_seen),
    Entry("fused, true visibility", Spec("fused"), told),
)


@dataclass(frozen=True, kw_only=True)
class MatcherSettings:
    """Which recogniser, trained how, with which head, on how many folds and seeds.

    `model` is a name of MODELS and `changes` of its options; the head is taken away, the recogniser trained as the
    control "augmented" is, under `budget`; then `head` is attached and trained on the same people for `head_steps` of
    32 faces.  `steps` cuts everything short, for a quick look whose figures mean nothing.
    """

    out: Path
    model: str = "from_tiny"
    changes: Mapping[str, Any] = field(default_factory=dict)
    head: Spec = Spec("occupancy")
    head_steps: int = 1500
    folds: int = 4
    only_folds: int | None = None  # measure so many of them; None: all
    seeds: int = 2
    steps: int | None = None
    resamples: int = 200
    device: str = "cpu"
    progress: bool = True

    def __post_init__(self) -> None:
        for option in ("head_steps", "folds", "only_folds", "seeds", "steps", "resamples"):
            value = getattr(self, option)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise OptionError(f"{option} is a positive whole number, not {value!r}")

    @property
    def config(self) -> ModelConfig:
        """Of the model whose trunk and embedding are trained."""
        return MODELS[self.model]().override(**self.changes)

    @property
    def budget(self) -> Budget:
        """How long the recogniser is trained."""
        return SMALL.cut_to(self.steps)
