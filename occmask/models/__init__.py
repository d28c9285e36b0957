"""Models by name: configurations, the builder, and weights."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .builder import build, list_models
from .config import MODELS, ModelConfig

if TYPE_CHECKING:
    from .attaching import attach
    from .face import FaceModel
    from .filling import LoadReport
    from .inference import optimize
    from .programs import ExportReport, export
    from .weights import load_model, load_weights, save_weights

_LAZY = {  # these import torch; listing and configuring must not
    "ExportReport": "programs",
    "FaceModel": "face",
    "LoadReport": "filling",
    "attach": "attaching",
    "export": "programs",
    "load_model": "weights",
    "load_weights": "weights",
    "optimize": "inference",
    "save_weights": "weights",
}

__all__ = [
    "MODELS",
    "ExportReport",
    "FaceModel",
    "LoadReport",
    "ModelConfig",
    "attach",
    "build",
    "export",
    "list_models",
    "load_model",
    "load_weights",
    "optimize",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module 'occmask.models' has no attribute {name!r}")
