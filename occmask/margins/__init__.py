"""Margin losses: embedding and label -> identity loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..registry import Registry
from ..spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

    from occmask_kernels.margin import Cache

    from .loss import MarginLoss


class Margin(Protocol):
    """An object built as `factory(**options)`: phi, what the margin makes of the target cosine.

    `default_scale` is the loss's scale when the user gives none.  A margin with state or random numbers is an
    `nn.Module`, a part of the loss: it is in the loss's state_dict, moves with it, and in evaluation mode it neither
    changes nor draws.

    Two more methods if the margin has a use for them:

    - `regulariser(norm)`, (B,) -> (B,): added to the loss of each face.
    - `reweight(cosine, phi)`, (B, M), (B, 1) -> (B, M): what the cosines to other classes count as.  Elementwise in
      the cosine, with a gradient through it only: phi comes detached.  The loss asks for the method after it has phi,
      and calls it again in the backward pass, so what it uses must not change with a later batch.
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
        "adaface": "occmask.margins.adaptive:AdaFace",
        "magface": "occmask.margins.adaptive:MagFace",
        "elastic_arcface": "occmask.margins.adaptive:ElasticArcFace",
        "elastic_cosface": "occmask.margins.adaptive:ElasticCosFace",
        "curricularface": "occmask.margins.reweighting:CurricularFace",
        "mv_am_softmax": "occmask.margins.reweighting:MVAMSoftmax",
        "mv_arc_softmax": "occmask.margins.reweighting:MVArcSoftmax",
    },
)


def build_loss(
    loss: str | Spec,
    *,
    embedding_dim: int,
    num_classes: int,
    precision: str | None = None,
    cache: Cache | None = None,
    **options: Any,
) -> MarginLoss:
    """A margin loss with its own class weights.

    >>> loss = occmask.build_loss("cosface", embedding_dim=512, num_classes=10572)
    >>> loss(embedding, label)          # (B, 512), (B,) int64 -> scalar

    `options` are `scale` and the margin's own (`margin`; `m1 m2 m3` for "combined"; `gradient`): see
    `MARGINS.options(name)`.  `precision` ("fp16", "bf16", "tf32", "ieee"; None: fp16 on a GPU, ieee elsewhere) and
    `cache` (bytes, or "auto") say how it is computed: see `occmask_kernels.margin_lse`.
    Raises `UnknownNameError` for the name, `OptionError` for an option.
    """
    from .loss import MarginLoss

    spec = Spec.of(loss).replace(**options)
    return MarginLoss(spec, embedding_dim=embedding_dim, num_classes=num_classes, precision=precision, cache=cache)


__all__ = ["MARGINS", "Margin", "build_loss"]
