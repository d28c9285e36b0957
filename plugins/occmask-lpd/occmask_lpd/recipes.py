"""How LPD is trained: with the occluders that every method of a comparison gets, or with drawn face masks."""

from __future__ import annotations

from typing import Any

import occmask

# Of the four styles of drawn masks two are for training; "cloth" and "folded" stay unseen, for tests.
TRAIN_STYLES = ("surgical", "cup")
TEST_STYLES = ("cloth", "folded")

# The published training (Ding et al.; its MindSpore code), whose masked faces were drawn too.
_MASKS: dict[str, Any] = {
    "occluders": (occmask.Spec("face_mask", styles=TRAIN_STYLES),),
    "placement": occmask.Spec("worn"),
    "clean_share": 1 / 3,
    "epochs": 120.0,
    "batch_size": 128,
    "optimiser": occmask.Spec("sgd", learning_rate=0.01, momentum=0.9, nesterov=False),
    "schedule": occmask.Spec("step", at=(40 / 120, 80 / 120, 100 / 120), factor=0.1),
    "warm_up": 20 / 120,
}


def lpd(**changes: Any) -> occmask.Recipe:
    """The baseline goes on with a second look at a part, on the same covered faces as FROM."""
    settings = {"name": "lpd", "parts": ("part_locator",), "objective": occmask.Spec("lpd")}
    return occmask.RECIPES["augmented"]().override(**{**settings, **changes})


def lpd_masks(**changes: Any) -> occmask.Recipe:
    """For masked face recognition: the baseline goes on with a second look at a part, on drawn face masks."""
    return lpd().override(**{"name": "lpd_masks", **_MASKS, **changes})


def augmented_masks(**changes: Any) -> occmask.Recipe:
    """The control of `lpd_masks`: the baseline goes on with the same drawn face masks and no second look."""
    return occmask.RECIPES["augmented"]().override(**{"name": "augmented_masks", **_MASKS, **changes})
