"""Occluders: what covers a face, where it goes, and exactly which pixels it hides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    from .occlude import Placement
    from .occluder import Occluder

OCCLUDERS: Registry[Occluder] = Registry(
    "occluder",
    "occmask.occluders",
    {
        "book": "occmask.occluders.held_objects:Book",
        "cup": "occmask.occluders.held_objects:Cup",
        "eyeglasses": "occmask.occluders.eyewear:Eyeglasses",
        "face_mask": "occmask.occluders.face_masks:FaceMask",
        "hand": "occmask.occluders.held_objects:Hand",
        "mouth_mask": "occmask.occluders.face_covers:MouthMask",
        "patchwork": "occmask.occluders.patchwork:Patchwork",
        "phone": "occmask.occluders.held_objects:Phone",
        "pictures": "occmask.occluders.pictures:Pictures",
        "rectangle": "occmask.occluders.rectangle:Rectangle",
        "scarf": "occmask.occluders.face_covers:Scarf",
        "sunglasses": "occmask.occluders.eyewear:Sunglasses",
    },
)

# A placement is built with its options alone; `occluders.occlude.Placement` says what it does.
PLACEMENTS: Registry[Placement] = Registry(
    "placement",
    "occmask.placements",
    {
        "anywhere": "occmask.occluders.occlude:RandomPlacement",
        "area": "occmask.occluders.occlude:AreaPlacement",
        "cell": "occmask.occluders.cells:RandomCellPlacement",
        "worn": "occmask.occluders.occlude:WornPlacement",
    },
)

__all__ = ["OCCLUDERS", "PLACEMENTS"]
