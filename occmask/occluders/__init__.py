"""Occluders: what covers a face, where it goes, and exactly which pixels it hides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
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
        "phone": "occmask.occluders.held_objects:Phone",
        "pictures": "occmask.occluders.pictures:Pictures",
        "rectangle": "occmask.occluders.rectangle:Rectangle",
        "scarf": "occmask.occluders.face_covers:Scarf",
        "sunglasses": "occmask.occluders.eyewear:Sunglasses",
    },
)

__all__ = ["OCCLUDERS"]
