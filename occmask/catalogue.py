"""The catalogue: every kind of component, and what each component is and takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from .data import DATASETS
from .errors import OptionError, did_you_mean
from .gallery import GALLERY_INDEXES
from .margins import MARGINS
from .matching import MATCHERS
from .models.config import COMPONENTS, MODELS
from .occluders import OCCLUDERS, PLACEMENTS
from .protocols import PROTOCOLS
from .registry import Registry
from .testsets import TESTSETS
from .training import METHODS, OBJECTIVES, RECIPES

KINDS: dict[str, Registry[Any]] = {
    "model": MODELS,
    **{name: registry for name, registry in COMPONENTS.items() if name != "gate"},  # a gate is a head inside another
    "margin": MARGINS,
    "matcher": MATCHERS,
    "method": METHODS,
    "recipe": RECIPES,
    "objective": OBJECTIVES,
    "occluder": OCCLUDERS,
    "placement": PLACEMENTS,
    "dataset": DATASETS,
    "protocol": PROTOCOLS,
    "testset": TESTSETS,
    "gallery_index": GALLERY_INDEXES,
}


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


def describe(kind: str, name: str) -> Description:
    """What a component does and which options it takes: `describe("head", "from")`, `describe("model", "from_r50")`.

    `occmask.catalogue.KINDS` are the kinds; an unknown one is an `OptionError` that lists them.
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
