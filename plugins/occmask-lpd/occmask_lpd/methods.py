"""LPD as a whole answer to occlusion, and what it is to be compared with."""

from __future__ import annotations

from collections.abc import Callable

import occmask

from .nose_line import NOSE_LINE

_SECOND_LOOK = "look at a part"
_FIXED = occmask.Spec("fixed", box=(0.0, 0.0, 1.0, NOSE_LINE))  # where the located box starts, for every face


def lpd() -> occmask.Method:
    """LPD on the covered faces that every method of a comparison trains on."""
    return _part("LPD", "lpd", recipe="lpd", control="augmented")


def fixed_part() -> occmask.Method:
    """The control of `lpd`: the part is the same in every face, down to the nose line."""
    return _part("fixed part", _FIXED, recipe="lpd", control="augmented", compared=False)


def lpd_masks() -> occmask.Method:
    """LPD for masked faces, trained on drawn face masks (Ding et al., ACM MM 2020)."""
    return _part("LPD, face masks", "lpd", recipe="lpd_masks", control="augmented_masks", compared=False)


def fixed_part_masks() -> occmask.Method:
    """The control of `lpd_masks`: the part is the same in every face, down to the nose line."""
    return _part("fixed part, face masks", _FIXED, recipe="lpd_masks", control="augmented_masks", compared=False)


def augmented_masks() -> occmask.Method:
    """The baseline, trained on with the same drawn face masks and no second look."""
    return occmask.Method(
        summary="training with face masks",
        family="control",
        model=_config(None),
        stages=(occmask.Stage(recipe="augmented_masks"),),
        control="baseline",
        compared=False,
    )


def _part(
    summary: str, locator: str | occmask.Spec, *, recipe: str, control: str, compared: bool = True
) -> occmask.Method:
    return occmask.Method(
        summary=summary,
        family=_SECOND_LOOK,
        model=_config(locator),
        stages=(occmask.Stage(recipe=recipe),),
        control=control,
        compared=compared,
    )


def _config(locator: str | occmask.Spec | None) -> Callable[[occmask.ModelConfig], occmask.ModelConfig]:
    def model(config: occmask.ModelConfig) -> occmask.ModelConfig:
        return config.override(restorer=None, refiner=None, head=None, part_locator=locator)

    return model
