"""Test sets: covered copies of a face set on disk, with exact boxes, visible maps and a manifest that remakes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    from .recipe import Recipe

TESTSETS: Registry[Recipe] = Registry(
    "test set recipe",
    "occmask.testsets",
    {
        "area": "occmask.testsets.recipes:Area",
        "face_mask": "occmask.testsets.recipes:MaskedFaces",
        "occ_lfw": "occmask.testsets.recipes:OccLfw",
        "partial": "occmask.testsets.partial:Partial",
        "random_crop": "occmask.testsets.partial:RandomCrop",
        "region": "occmask.testsets.recipes:Region",
        "worn": "occmask.testsets.recipes:Worn",
    },
)

__all__ = ["TESTSETS"]
