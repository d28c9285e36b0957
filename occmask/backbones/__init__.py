"""Backbones: image -> feature maps, finest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..registry import Registry
from ..shapes import FeatureShape

if TYPE_CHECKING:
    from torch import Tensor


class Backbone(Protocol):
    """A module built as `factory(image_size, **options)`, with image_size = (height, width).

    `shapes` are those of the maps that calling it returns, finest first; the last one is the top map X1.
    """

    shapes: tuple[FeatureShape, ...]

    def __call__(self, image: Tensor) -> tuple[Tensor, ...]: ...  # (B, 3, H, W) -> maps, finest first


class RefinableBackbone(Backbone, Protocol):
    """A backbone that hands each map to somebody before its next stage reads it.

    It says so by `refinable = True`; `refine(level, map)` gives the map to go on with, in the same shape, and is what
    the backbone returns at that place.
    """

    refinable: bool

    def __call__(self, image: Tensor, refine: Callable[[int, Tensor], Tensor] | None = None) -> tuple[Tensor, ...]: ...


BACKBONES: Registry[Backbone] = Registry(
    "backbone",
    "occmask.backbones",
    {
        "lresnet": "occmask.backbones.lresnet:LResNet",
        "tiny": "occmask.backbones.tiny:Tiny",
        "iresnet": "occmask.backbones.iresnet:IResNet",
        **{f"iresnet{depth}": f"occmask.backbones.iresnet:iresnet{depth}" for depth in (18, 34, 50, 100, 200)},
    },
)
