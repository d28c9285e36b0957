"""Data: sets of faces and of pairs, whatever they are stored in, and the batches that training eats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import Registry

if TYPE_CHECKING:
    from .faces import FaceSet

DATASETS: Registry[FaceSet] = Registry(
    "data set",
    "occmask.datasets",
    {"orl": "occmask.data.orl:load_orl", "folder": "occmask.data.readers:load_folder"},
)

__all__ = ["DATASETS"]
