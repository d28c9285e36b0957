"""Named models with the PDSN head."""

from __future__ import annotations

from occmask import MODELS, ModelConfig, Spec


def pdsn_r50() -> ModelConfig:
    """PDSN as published: LResNet50E-IR and a dictionary of 25 blocks (Song et al., ICCV 2019)."""
    return MODELS["from_r50"]().override(head=Spec("pdsn", k=5))


def pdsn_tiny() -> ModelConfig:
    """PDSN at the size of the demo: trains in a minute on two CPU cores."""
    return MODELS["from_tiny"]().override(head=Spec("pdsn", k=5))
