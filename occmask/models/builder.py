"""From a name to a model."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from .config import MODELS, ModelConfig

if TYPE_CHECKING:
    from .face import FaceModel


def list_models(pattern: str = "*") -> list[str]:
    """Names that `build` accepts, filtered by a shell pattern such as `"from_*"`.

    Reads plug-in metadata; imports no plug-in and no torch.
    """
    return sorted((name for name in MODELS if fnmatch(name, pattern)), key=_natural)


def _natural(name: str) -> list[tuple[int, str]]:
    """r18 before r100."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def build(model: str | ModelConfig, *, weights: str | PathLike[str] | None = None, **overrides: Any) -> FaceModel:
    """Build a model, with fresh weights or those of a file.

    >>> occmask.build("from_r50")                                          # a named configuration
    >>> occmask.build("from_r50", mask_decoder="spatial")                  # one component swapped
    >>> occmask.build("from_r50", head=Spec("mine", rank=8))               # ... with options
    >>> occmask.build("from_r50", head__pattern_predictor__k=4)            # an option deep inside
    >>> occmask.build("from_r50", weights="run/last.safetensors")

    Raises `UnknownNameError`, `OptionError` or `CheckpointError`, each saying what would have worked.
    """
    from .face import FaceModel

    if isinstance(model, str):
        config = MODELS[model]()
    elif isinstance(model, ModelConfig):
        config = model
    else:
        raise OptionError(f"build takes a model's name or a ModelConfig, not a {type(model).__name__}")
    built = FaceModel(config.override(**overrides))
    if weights is not None:
        from .weights import load_weights

        load_weights(built, weights)
    return built
