"""Data: sets of faces and of pairs, whatever they are stored in, and the batches that training eats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    from .faces import FaceSet

DATASETS: Registry[FaceSet] = Registry(
    "data set",
    "occmask.datasets",
    {
        "orl": "occmask.data.orl:load_orl",
        "mapstyle": "occmask.data.mapstyle:faces_from_mapstyle",
        **{name: f"occmask.data.readers:load_{name}" for name in ("folder", "list", "rec", "lmdb", "tar", "bin")},
    },
)

__all__ = ["DATASETS"]
