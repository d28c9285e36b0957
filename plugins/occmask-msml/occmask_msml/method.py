"""How MSML is trained: one recipe, one method."""

from __future__ import annotations

from typing import Any

import occmask


def msml_recipe(**changes: Any) -> occmask.Recipe:
    """MSML: the baseline's trunk and classifier go on with covered faces and the segmentation branch, all trained.

    total = margin loss + 1 * segmentation loss, as published; schedule and covered faces are FROM's second stage.
    """
    return occmask.RECIPES["augmented"](**{"name": "msml", "parts": ("refiner",), **changes})


def msml() -> occmask.Method:
    """MSML: segmentation of the picture masks the trunk's maps at four levels (AAAI 2022)."""
    return occmask.Method(
        summary="segmentation masks at four levels",
        family="remove features",
        model=lambda config: config.override(head=None, refiner=occmask.Spec("msml")),
        stages=(occmask.Stage(recipe="msml"),),
    )
