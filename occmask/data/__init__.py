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
        name: f"occmask.data.drawings:{factory}"
        for name, factory in {
            "book": "Book",
            "cup": "Cup",
            "eyeglasses": "Eyeglasses",
            "hand": "Hand",
            "mouth_mask": "MouthMask",
            "phone": "Phone",
            "rectangle": "Rectangle",
            "scarf": "Scarf",
            "sunglasses": "Sunglasses",
        }.items()
    }
    | {"pictures": "occmask.data.pictures:Pictures"},
)

DATASETS: Registry[FaceSet] = Registry(
    "data set",
    "occmask.datasets",
    {"orl": "occmask.data.orl:load_orl", "folder": "occmask.data.folder:load_folder"},
)

__all__ = ["DATASETS", "OCCLUDERS"]
