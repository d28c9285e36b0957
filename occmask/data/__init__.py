"""Data: pictures of faces, what covers them, and the batches the training eats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    from .faces import FaceSet
    from .occluders import Occluder

OCCLUDERS: Registry[Occluder] = Registry(
    "occluder",
    "occmask.occluders",
    {
        "book": "occmask.data.held_objects:Book",
        "cup": "occmask.data.held_objects:Cup",
        "eyeglasses": "occmask.data.eyewear:Eyeglasses",
        "hand": "occmask.data.held_objects:Hand",
        "mouth_mask": "occmask.data.face_covers:MouthMask",
        "phone": "occmask.data.held_objects:Phone",
        "pictures": "occmask.data.pictures:Pictures",
        "rectangle": "occmask.data.rectangle:Rectangle",
        "scarf": "occmask.data.face_covers:Scarf",
        "sunglasses": "occmask.data.eyewear:Sunglasses",
    },
)

DATASETS: Registry[FaceSet] = Registry(
    "data set",
    "occmask.datasets",
    {"orl": "occmask.data.orl:load_orl", "folder": "occmask.data.folder:load_folder"},
)

__all__ = ["DATASETS", "OCCLUDERS"]
