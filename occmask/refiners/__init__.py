"""Refiners: clean the maps between the stages of the trunk, so that later stages never see what is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from ..shapes import OcclusionTruth, Sight


class Refiner(Protocol):
    """A module built as `factory(image: FeatureShape, maps: tuple[FeatureShape, ...], **options)`.

    Called with the images it looks at them once; `refine` is then called after every stage of the trunk with the
    stage's number (0 is the finest map), its map, and what was seen, and gives the map that the next stage gets.
    The trunk must let it: see `occmask.backbones.RefinableBackbone`.
    """

    def __call__(self, images: Tensor) -> Sight: ...  # (B, 3, H, W) -> coverage and features of its own
    def refine(self, level: int, features: Tensor, sight: Sight) -> Tensor: ...  # (B, C, H, W) -> the same shape
    def loss(self, coverage: Tensor, truth: OcclusionTruth) -> Tensor: ...  # scalar


REFINERS: Registry[Refiner] = Registry("refiner", "occmask.refiners", {})

__all__ = ["REFINERS", "Refiner"]
