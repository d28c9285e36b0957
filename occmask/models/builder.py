"""From a name to a model."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from fnmatch import fnmatch
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import OptionError, did_you_mean
from ..margins import MARGINS
from ..registry import Registry
from .config import COMPONENTS, MODELS, ModelConfig

if TYPE_CHECKING:
    from .face import FaceModel

KINDS: dict[str, Registry[Any]] = {"model": MODELS, **COMPONENTS, "margin": MARGINS}


class Description(NamedTuple):
    """What one registered component is and takes; `str()` of it is for people."""

    kind: str
    name: str
    summary: str
    options: Mapping[str, Any]  # name -> default

    def __str__(self) -> str:
        lines = [f"{self.kind} {self.name!r}: {self.summary}"]
        width = max((len(option) for option in self.options), default=0)
        lines += [f"  {option:<{width}}  {_show(default)}" for option, default in self.options.items()]
        return "\n".join(lines)


def _show(default: Any) -> str:
    return "(required)" if default is inspect.Parameter.empty else repr(default)


def list_models(pattern: str = "*") -> list[str]:
    """Names that `build` accepts, filtered by a shell pattern such as `"from_*"`.

    Reads plug-in metadata; imports no plug-in and no torch.
    """
    return sorted((name for name in MODELS if fnmatch(name, pattern)), key=_natural)


def _natural(name: str) -> list[tuple[int, str]]:
    """r18 before r100."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def describe(kind: str, name: str) -> Description:
    """What a component does and which options it takes: `describe("head", "from")`, `describe("model", "from_r50")`.

    Kinds: model, backbone, head, embedding, mask_decoder, pattern_predictor, margin.
    """
    if kind not in KINDS:
        raise OptionError(
            f"no kind of component is called {kind!r}.{did_you_mean(kind, KINDS)} Kinds: {', '.join(KINDS)}"
        )
    registry = KINDS[kind]
    factory = registry[name]
    summary = (inspect.getdoc(factory) or "(no description)").splitlines()[0]
    options = MODELS[name]().to_dict() if kind == "model" else registry.options(name)
    return Description(kind, name, summary, options)


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
