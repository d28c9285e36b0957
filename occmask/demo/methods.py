"""Train each method of the demo, the later ones from the baseline's trunk and classifier."""

from __future__ import annotations

from collections.abc import Sequence

from ..data.faces import FaceSet
from ..training.budgets import SMALL
from ..training.methods import Trained, train_method
from .settings import MODEL


def train_methods(
    faces: FaceSet, names: Sequence[str], *, seed: int, steps: int | None, progress: bool
) -> dict[str, Trained]:
    """The trained methods by name; `names` begins with "baseline"."""
    trained: dict[str, Trained] = {}
    for name in names:
        trained[name] = train_method(
            name,
            faces,
            base=MODEL,
            margin=SMALL.margin,
            budget=SMALL.cut_to(steps),
            seed=seed,
            start=None if name == "baseline" else trained["baseline"],
            progress=progress,
        )
    return trained
