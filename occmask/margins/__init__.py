"""Margin losses: embedding and label -> identity loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..registry import Registry
from ..spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from .loss import MarginLoss


class Margin(Protocol):
    """An object built as `factory(**options)`: phi, what the margin makes of the target cosine.

    `default_scale` is the loss's scale when the user gives none.
    """

    default_scale: float

    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor: ...  # (B,), (B,) -> phi (B,)


MARGINS: Registry[Margin] = Registry(
    "margin loss",
    "occmask.margins",
    {
        "cosface": "occmask.margins.functions:CosFace",
        "arcface": "occmask.margins.functions:ArcFace",
        "sphereface": "occmask.margins.functions:SphereFace",
        "combined": "occmask.margins.functions:Combined",
        "softmax": "occmask.margins.functions:NormalisedSoftmax",
    },
)


def build_loss(loss: str | Spec, *, embedding_dim: int, num_classes: int, **options: Any) -> MarginLoss:
    """A margin loss with its own class weights.

    >>> loss = occmask.build_loss("cosface", embedding_dim=512, num_classes=10572)
    >>> loss(embedding, label)          # (B, 512), (B,) int64 -> scalar

    `options` are `scale` and the margin's own (`margin`; `m1 m2 m3` for "combined"; `gradient`).
    Raises `UnknownNameError` for the name, `OptionError` for an option.
    """
    from .loss import MarginLoss

    spec = Spec.of(loss)
    return MarginLoss(spec.replace(**options), embedding_dim=embedding_dim, num_classes=num_classes)


__all__ = ["MARGINS", "Margin", "build_loss"]
