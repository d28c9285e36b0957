"""PDSN as a whole method: both stages, one after the other."""

from __future__ import annotations

from occmask import Method, ModelConfig, Spec, Stage


def _model(config: ModelConfig) -> ModelConfig:
    return config.override(restorer=None, part_locator=None, refiner=None, head=Spec("pdsn"))


def pdsn() -> Method:
    """A dictionary of feature discarding masks, then the recogniser tuned to them (Song et al., ICCV 2019)."""
    return Method(
        summary="PDSN, mask dictionary",
        family="remove features",
        model=_model,
        stages=(Stage(recipe="pdsn_masks", share=1 / 3), Stage(recipe="pdsn", share=2 / 3)),
    )
