"""The methods that occmask itself ships: the baseline, its controls, and FROM with its ablations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import OptionError
from ..models.config import OCCLUSION_PARTS, ModelConfig
from .methods import Method, Stage

_CONTROL, _REMOVE = "control", "remove features"


def _plain(config: ModelConfig) -> ModelConfig:
    return config.override(**dict.fromkeys(OCCLUSION_PARTS))


def _from(**changes: Any) -> Callable[[ModelConfig], ModelConfig]:
    def model(config: ModelConfig) -> ModelConfig:
        if config.head is None or config.head.name != "from":
            raise OptionError("methods change a model with FROM's head, such as 'from_tiny' or 'from_r50'")
        return config.override(**changes)

    return model


def baseline() -> Method:
    """The plain recogniser, trained on clean faces only."""
    return Method(
        summary="clean training",
        family=_CONTROL,
        model=_plain,
        stages=(Stage(recipe="baseline"),),
        starts_from=None,
        control=None,
    )


def augmented() -> Method:
    """The baseline, trained on with covered faces and no mask branch: every method's control."""
    return Method(
        summary="covered training, no mask",
        family=_CONTROL,
        model=_plain,
        stages=(Stage(recipe="augmented"),),
        control="baseline",
    )


def frozen() -> Method:
    """The baseline's trunk as it is; the embedding is trained on with covered faces."""
    return Method(
        summary="covered training, frozen trunk",
        family=_CONTROL,
        model=_plain,
        stages=(Stage(recipe="frozen", share=4 / 3),),
        control="baseline",
        compared=False,
    )


def retrofit() -> Method:
    """The baseline's trunk as it is, with FROM's head before the embedding."""
    return Method(
        summary="FROM's head on a frozen trunk",
        family=_REMOVE,
        model=_from(),
        stages=(Stage(recipe="retrofit", share=4 / 3),),
        control="frozen",
        compared=False,
    )


def from_() -> Method:
    """FROM as published: full soft mask from the pyramid, 226 classes of patterns (Qiu et al., TPAMI 2022)."""
    return _variant("FROM")


def from_regression() -> Method:
    """FROM whose predictor tells the box's corners instead of a class."""
    return _variant("FROM, box regression", pattern_predictor="regression")


def from_hard() -> Method:
    """FROM whose mask keeps an element or drops it, from a half on."""
    return _variant("FROM, hard mask", head__threshold=0.5)


def from_spatial() -> Method:
    """FROM with one mask value a position, shared by all channels."""
    return _variant("FROM, spatial mask", mask_decoder="spatial")


def from_vector() -> Method:
    """FROM with a mask on the finished embedding."""
    return _variant("FROM, vector mask", mask_decoder="vector")


def from_deep() -> Method:
    """FROM with the mask from the top map alone, without the pyramid."""
    return _variant("FROM, deep mask", mask_decoder="deep")


def _variant(summary: str, **changes: Any) -> Method:
    return Method(summary=summary, family=_REMOVE, model=_from(**changes), stages=(Stage(recipe="from"),))
