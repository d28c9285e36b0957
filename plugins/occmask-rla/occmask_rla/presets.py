"""Named models: a recogniser with the restorer before it."""

from __future__ import annotations

import occmask


def rla_tiny() -> occmask.ModelConfig:
    """The demo's small recogniser with a restorer that learns in a minute on one CPU core."""
    return occmask.MODELS["from_tiny"]().override(head=None, restorer="rla")


def rla_r50() -> occmask.ModelConfig:
    """LResNet50E-IR with the restorer's grid, windows, units, layers and steps as published, in colour, at 112 x 96."""
    restorer = occmask.Spec(
        "rla",
        shrink=1,
        grid=(2, 2),
        window=(32, 32),
        units=2048,
        layers=2,
        steps=8,
        forget_bias=5.0,
        every_position=False,
    )
    return occmask.MODELS["from_r50"]().override(head=None, restorer=restorer)
