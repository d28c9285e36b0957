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
    "FacePairs": "data.pairs",
    "FaceSet": "data.faces",
    "FaceShapes": "shapes",
    "FeatureShape": "shapes",
    "HEADS": "heads",
    "InputSpec": "images.input_spec",
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
    "Result": "protocols.result",
    "TESTSETS": "testsets",
    "build": "models",
    "build_loss": "margins",
    "describe": "catalogue",
    "export": "models",
    "list_models": "models",
    "load_faces": "data.sources",
    "load_model": "models",
    "load_pairs": "data.pairs",
    "load_weights": "models",
    "optimize": "models",
    "run_protocol": "measure.protocols",
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
    "TESTSETS",
    "CheckpointError",
    "DataError",
    "DuplicateNameError",
    "ExportReport",
    "FaceBatch",
    "FaceOutput",
    "FacePairs",
    "FaceSet",
    "FaceShapes",
    "FeatureShape",
    "InputSpec",
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
    "Result",
    "ShapeError",
    "Spec",
    "TrainingError",
    "UnknownNameError",
    "build",
    "build_loss",
    "describe",
    "export",
    "list_models",
    "load_faces",
    "load_model",
    "load_pairs",
    "load_weights",
    "optimize",
    "run_protocol",
    "save_weights",
]

if TYPE_CHECKING:
    from .backbones import BACKBONES
    from .catalogue import describe
    from .data import DATASETS
    from .data.faces import FaceSet
    from .data.pairs import FacePairs, load_pairs
    from .data.sources import load_faces
    from .embeddings import EMBEDDINGS
    from .heads import HEADS, MASK_DECODERS, PATTERN_PREDICTORS
    from .images.input_spec import InputSpec
    from .margins import MARGINS, build_loss
    from .measure.protocols import run_protocol
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
    from .protocols.result import Result
    from .shapes import FaceBatch, FaceOutput, FaceShapes, FeatureShape, Occlusion, OcclusionAnswer, OcclusionTruth
    from .testsets import TESTSETS


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'occmask' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
