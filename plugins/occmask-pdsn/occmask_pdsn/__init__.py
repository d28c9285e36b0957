"""PDSN (Song et al., ICCV 2019) for occmask: a dictionary of feature discarding masks for any face recogniser.

Public names are loaded on first use, so naming the components imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "COMBINATIONS": "combinations",
    "DETECTORS": "detectors",
    "Locality": "locality",
    "MaskGenerators": "generators",
    "PdsnHead": "head",
    "changed": "explicit",
    "draw_dictionary": "figure",
    "embed_with_blocks": "explicit",
    "generators_of": "building",
    "measure_locality": "locality",
    "rebuild_dictionary": "building",
    "true_blocks": "explicit",
    "with_from_detector": "explicit",
}

__all__ = [
    "COMBINATIONS",
    "DETECTORS",
    "Locality",
    "MaskGenerators",
    "PdsnHead",
    "changed",
    "draw_dictionary",
    "embed_with_blocks",
    "generators_of",
    "measure_locality",
    "rebuild_dictionary",
    "true_blocks",
    "with_from_detector",
]

if TYPE_CHECKING:
    from .building import generators_of, rebuild_dictionary
    from .combinations import COMBINATIONS
    from .detectors import DETECTORS
    from .explicit import changed, embed_with_blocks, true_blocks, with_from_detector
    from .figure import draw_dictionary
    from .generators import MaskGenerators
    from .head import PdsnHead
    from .locality import Locality, measure_locality


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'occmask_pdsn' has no attribute {name!r}")
