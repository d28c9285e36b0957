"""PDSN's two stages as recipes, with the published settings as far as they can be known.

The published code covers blocks of VGG-Face for stage 1 and CASIA-WebFace for stage 2.  Two things differ: it lowers
the learning rate of stage 1 at iterations 7,500, 15,000 and 22,500 of a run whose length is in no released file, for
which quarters of the run stand here; and in stage 2 it trains convolutions at a tenth of the rate, where all of the
recogniser has one rate here.
"""

from __future__ import annotations

from typing import Any

from occmask import Recipe, Spec


def pdsn_masks(**changes: Any) -> Recipe:
    """Stage 1: mask generators and dictionary, on faces with exactly one block covered; the recogniser is frozen."""
    recipe = Recipe(
        name="pdsn_masks",
        parts=("head",),
        starts_from="baseline",
        clean_share=0.0,
        occluders=(Spec("rectangle"),),
        placement=Spec("cell", k=5),
        objective=Spec("pdsn_masks"),
        freezes=("backbone", "head", "embedding", "classifier"),
        epochs=50.0,
        batch_size=512,
        optimiser=Spec("sgd", learning_rate=0.1, momentum=0.9, nesterov=False),
        schedule=Spec("step", at=(1 / 4, 2 / 4, 3 / 4), factor=0.1),
    )
    return recipe.override(**changes)


def pdsn(**changes: Any) -> Recipe:
    """Stage 2: the recogniser goes on with the dictionary's masks, and the detector learns; the dictionary is fixed."""
    recipe = Recipe(
        name="pdsn",
        parts=("head",),
        starts_from="pdsn_masks",
        clean_share=0.5,
        objective=Spec("pdsn_tuning"),
        epochs=15.0,
        batch_size=256,
        optimiser=Spec("sgd", learning_rate=1e-3, momentum=0.9, nesterov=False),
        parts_learning_rate=1e-2,
        schedule=Spec("step", at=(8 / 26.5, 18 / 26.5), factor=0.1),  # of 15 epochs of 452,722 pictures
    )
    return recipe.override(**changes)
