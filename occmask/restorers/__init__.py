"""Restorers: a covered face -> the face as it might look without the cover, in front of any recogniser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from ..shapes import Restoration


class Restorer(Protocol):
    """A module built as `factory(image: FeatureShape, **options)`.

    It is given images as the recogniser takes them, (B, 3, H, W) in the recogniser's own range, and returns images in
    the same range.  `finds_cover` says whether `Restoration.coverage` is there: the model then answers from it.
    Optional: `loss(coverage: Tensor, truth: OcclusionTruth) -> Tensor`, a scalar that the model's occlusion loss takes
    in, as `occmask.coverage_loss` computes it.
    """

    finds_cover: bool

    def __call__(self, images: Tensor) -> Restoration: ...


RESTORERS: Registry[Restorer] = Registry("restorer", "occmask.restorers", {})

__all__ = ["RESTORERS", "Restorer"]
