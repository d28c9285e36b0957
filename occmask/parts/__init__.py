"""Part locators: where the part of the face lies that is worth a second look by the same trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class PartLocator(Protocol):
    """A module built as `factory(image: FeatureShape, **options)`.

    The box is x0 y0 x1 y1 over W H W H; it may reach beyond the image, whose edge is then repeated.  The model cuts
    it out (differentiably), sizes it to the whole image, and sends it through the same trunk; the embedding is that
    of the whole face followed by that of the part.
    Optional: `loss(box: Tensor, truth: OcclusionTruth) -> Tensor`, a scalar that the model's occlusion loss takes in.
    """

    def __call__(self, images: Tensor) -> Tensor: ...  # (B, 3, H, W) -> (B, 4)


PART_LOCATORS: Registry[PartLocator] = Registry(
    "part locator", "occmask.part_locators", {"fixed": "occmask.parts.fixed:FixedPart"}
)

__all__ = ["PART_LOCATORS", "PartLocator"]
