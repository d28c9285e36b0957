"""How the restorer is trained: two recipes, and the method of comparisons."""

from __future__ import annotations

from typing import Any

import occmask


def rla_pretrain_recipe(**changes: Any) -> occmask.Recipe:
    """Finding the cover and painting the face, without a look at what the recogniser makes of it: a cheap step."""
    pretrain = {
        "name": "rla_pretrain",
        "starts_from": "baseline",
        "objective": occmask.Spec("rla", identity=0.0),
        "clean_share": 0.1,  # an uncovered face has little to teach here
    }
    return rla_recipe().override(**{**pretrain, **changes})


def rla_recipe(**changes: Any) -> occmask.Recipe:
    """The same through the frozen recogniser, which is to know the person again."""
    recipe = occmask.RECIPES["augmented"](
        name="rla",
        starts_from="rla_pretrain",
        parts=("restorer",),
        freezes=("backbone", "embedding", "classifier"),
        objective=occmask.Spec("rla"),
        occlusion_weight=100.0,  # of a mean over places, beside squared errors that are sums over pixels
        optimiser=occmask.Spec("adamw", learning_rate=1e-4),
        schedule=occmask.Spec("cosine"),
        warm_up=0.05,
        weight_decay=0.0,
        clip_gradient=5.0,
    )
    return recipe.override(**changes)


def _restored(config: occmask.ModelConfig) -> occmask.ModelConfig:
    return config.override(part_locator=None, refiner=None, head=None, restorer="rla")


def rla_method() -> occmask.Method:
    """The baseline as it is, with the face restored before it; its control is that baseline."""
    return occmask.Method(
        summary="RLA before the baseline",
        family="recover the face",
        model=_restored,
        stages=(occmask.Stage(recipe="rla_pretrain", share=2.0), occmask.Stage(recipe="rla")),
        control="baseline",
    )
