"""Occlusion-robust face recognition you can extend.

`import occmask` imports neither torch nor NumPy: every public name below is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    CheckpointError,
    DataError,
    DuplicateNameError,
    OccmaskError,
    OptionError,
    PluginError,
    ProtocolError,
    ShapeError,
    TrainingError,
    UnknownNameError,
)
from .spec import Spec
from .version import __version__ as __version__

_LAZY = {
    "BACKBONES": "backbones",
    "DATASETS": "data",
    "EMBEDDINGS": "embeddings",
    "ExportReport": "models",
    "FaceBatch": "shapes",
    "FaceOutput": "shapes",
    "FaceShapes": "shapes",
    "FeatureShape": "shapes",
    "HEADS": "heads",
    "LoadReport": "models",
    "MARGINS": "margins",
    "MASK_DECODERS": "heads",
    "MODELS": "models",
    "ModelConfig": "models",
    "OCCLUDERS": "occluders",
    "Occlusion": "shapes",
    "OcclusionAnswer": "shapes",
    "OcclusionTruth": "shapes",
    "PATTERN_PREDICTORS": "heads",
    "PROTOCOLS": "protocols",
    "PatternGrid": "patterns",
    "build": "models",
    "build_loss": "margins",
    "describe": "catalogue",
    "export": "models",
    "list_models": "models",
    "load_model": "models",
    "load_weights": "models",
    "optimize": "models",
    "save_weights": "models",
}

__all__ = [
    "BACKBONES",
    "DATASETS",
    "EMBEDDINGS",
    "HEADS",
    "MARGINS",
    "MASK_DECODERS",
    "MODELS",
    "OCCLUDERS",
    "PATTERN_PREDICTORS",
    "PROTOCOLS",
    "CheckpointError",
    "DataError",
    "DuplicateNameError",
    "ExportReport",
    "FaceBatch",
    "FaceOutput",
    "FaceShapes",
    "FeatureShape",
    "LoadReport",
    "ModelConfig",
    "Occlusion",
    "OcclusionAnswer",
    "OcclusionTruth",
    "OccmaskError",
    "OptionError",
    "PatternGrid",
    "PluginError",
    "ProtocolError",
    "ShapeError",
    "Spec",
    "TrainingError",
    "UnknownNameError",
    "build",
    "build_loss",
    "describe",
    "export",
    "list_models",
    "load_model",
    "load_weights",
    "optimize",
    "save_weights",
]

if TYPE_CHECKING:
    from .backbones import BACKBONES
    from .catalogue import describe
    from .data import DATASETS
    from .embeddings import EMBEDDINGS
    from .heads import HEADS, MASK_DECODERS, PATTERN_PREDICTORS
    from .margins import MARGINS, build_loss
    from .models import (
        MODELS,
        ExportReport,
        LoadReport,
        ModelConfig,
        build,
        export,
        list_models,
        load_model,
        load_weights,
        optimize,
        save_weights,
    )
    from .occluders import OCCLUDERS
    from .patterns import PatternGrid
    from .protocols import PROTOCOLS
    from .shapes import FaceBatch, FaceOutput, FaceShapes, FeatureShape, Occlusion, OcclusionAnswer, OcclusionTruth


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'occmask' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
