"""Train each method of the demo, and say how its model compares faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..data.faces import FaceSet
from ..measure.comparers import Comparer, TemplateComparer
from ..models.attaching import attach
from ..models.face import FaceModel
from ..training.attached import train_head
from ..training.budgets import SMALL
from ..training.methods import Trained, train_method
from .settings import HEAD_STEPS, MATCHED, MODEL


class DemoMethod(NamedTuple):
    """A trained model and a way to compare faces with it; None is the cosine of its embeddings."""

    model: FaceModel
    compare: Comparer | None
    seconds: float  # of training, without what it started from


def train_methods(
    faces: FaceSet, names: Sequence[str], *, seed: int, steps: int | None, progress: bool
) -> dict[str, DemoMethod]:
    """The trained methods by name; `names` begins with "baseline"."""
    trained: dict[str, Trained] = {}
    methods: dict[str, DemoMethod] = {}
    for name in names:
        if name in MATCHED:
            continue
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
        methods[name] = DemoMethod(trained[name].model, None, trained[name].seconds)
    matched = [name for name in MATCHED if name in names]
    if matched:
        seeing = attach(trained["augmented"].model)
        learnt = train_head(seeing, faces, steps=steps or HEAD_STEPS, seed=seed, progress=progress)
        for name in matched:
            sees = MATCHED[name]
            compare = TemplateComparer("fused", sees=sees)
            methods[name] = DemoMethod(seeing, compare, learnt.seconds if sees else 0.0)
    return {name: methods[name] for name in names}
