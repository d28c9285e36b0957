"""What the parts of a model return, held against what they promised: shapes and types always, values when asked to.

Comparing shapes costs microseconds, also in a traced graph, where nothing of it is left.  Reading values would stall a
GPU, so NaN is looked for only where it is too late anyway: see `first_nonfinite`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..errors import ShapeError
from ..shapes import FaceOutput, FeatureShape, Occlusion, OcclusionAnswer, Restoration, Sight
from .config import COMPONENTS, ModelConfig, components

T = TypeVar("T")
_LOGITS = ("a mask", "a pattern", "coverage")
_ROUNDING = 0.01  # of a probability, in bfloat16


class Trust:
    """Raises `ShapeError`, naming part, component and plug-in, for whatever a part of this model should not return.

    Each method takes what was returned and gives it back.  While `watching`, values that are not finite count, too.
    """

    def __init__(self, config: ModelConfig):
        self.config = config
        self.watching = False

    # -- when the model is built ---------------------------------------------------------------
    def built(self, part: str, module: T, **declares: type) -> T:
        """A torch module that has these attributes, of these types."""
        if not isinstance(module, nn.Module):
            raise self._lie(part, f"is a {type(module).__name__}", "a torch.nn.Module")
        for name, kind in declares.items():
            value = getattr(module, name, None)
            if not isinstance(value, kind):
                raise self._lie(part, f"declares {name} = {value!r}", f"of type {kind.__name__}")
        return module

    def shapes(self, shapes: Any) -> tuple[FeatureShape, ...]:
        """What a backbone says its maps are like."""
        if not isinstance(shapes, (tuple, list)) or not shapes or not all(isinstance(s, FeatureShape) for s in shapes):
            raise self._lie("backbone", f"declares shapes = {shapes!r}", "a tuple of occmask.FeatureShape")
        return tuple(shapes)

    # -- in every batch ------------------------------------------------------------------------
    def restoration(self, found: Any, images: Tensor, *, finds_cover: bool) -> Restoration:
        if not isinstance(found, Restoration):
            raise self._lie("restorer", f"returned {_told(found)}", "an occmask.Restoration")
        self._tensor("restorer", "an image", found.image, tuple(images.shape[1:]), images)
        if finds_cover or found.coverage is not None:
            self._coverage("restorer", found.coverage, images)
        return found

    def box(self, found: Any, images: Tensor) -> Tensor:
        return self._tensor("part_locator", "a box", found, (4,), images)

    def maps(self, found: Any, shapes: tuple[FeatureShape, ...], images: Tensor) -> tuple[Tensor, ...]:
        if not isinstance(found, (tuple, list)) or len(found) != len(shapes):
            raise self._lie("backbone", f"returned {_told(found)}", f"the {len(shapes)} maps that it declares")
        for level, (x, shape) in enumerate(zip(found, shapes, strict=True)):
            self._tensor("backbone", f"map {level}", x, tuple(shape), images)
        return tuple(found)

    def sight(self, found: Any, images: Tensor) -> Sight:
        if not isinstance(found, Sight):
            raise self._lie("refiner", f"returned {_told(found)}", "an occmask.Sight")
        self._coverage("refiner", found.coverage, images)
        return found

    def refined(self, found: Any, level: int, x: Tensor) -> Tensor:
        return self._tensor("refiner", f"the map of level {level}", found, tuple(x.shape[1:]), x)

    def occlusion(self, found: Any, *, pattern: bool) -> Occlusion:
        if not isinstance(found, Occlusion):
            raise self._lie("head", f"returned {_told(found)}", "an occmask.Occlusion")
        if pattern and found.pattern is None:
            raise self._lie("head", "returned no pattern", "a pattern, one row a face")
        return found

    def mask(self, found: Any, top: Tensor, width: int) -> Tensor:
        """Of any of the three forms, for a top map (B, C, H, W) and embeddings (B, width)."""
        full = tuple(top.shape[1:])
        forms = (full, (1, *full[1:]), (width,))
        if not isinstance(found, Tensor) or tuple(found.shape[1:]) not in forms:
            told = " or ".join(_batch_of(form) for form in dict.fromkeys(forms))
            raise self._lie("head", f"returned for a mask {_told(found)}", told)
        return self._tensor("head", "a mask", found, tuple(found.shape[1:]), top)

    def pattern(self, found: Any, images: Tensor) -> Tensor:
        rest = tuple(found.shape[1:]) if isinstance(found, Tensor) else ()
        return self._tensor("head", "a pattern", found, rest, images)

    def embedding(self, found: Any, width: int, top: Tensor) -> Tensor:
        return self._tensor("embedding", "an embedding", found, (width,), top)

    def loss(self, part: str, found: Any) -> Tensor:
        if not isinstance(found, Tensor) or found.ndim:
            raise self._lie(part, f"returned for a loss {_told(found)}", "a scalar tensor")
        self._watch(part, "a loss", found)
        return found

    def answer(self, found: Any, pattern: Tensor) -> OcclusionAnswer:
        """Shapes, and on whatever is not being traced the values too: an answer is for people to read."""
        if not isinstance(found, OcclusionAnswer):
            raise self._lie("head", f"answered with {_told(found)}", "an occmask.OcclusionAnswer")
        side = found.cells.shape[-1] if isinstance(found.cells, Tensor) and found.cells.ndim else 0
        shapes: dict[str, tuple[int, ...]] = {"cells": (side, side), "box": (4,), "covered": ()}
        if found.coverage is not None:
            shapes["coverage"] = tuple(found.coverage.shape[-2:])
        for name, shape in shapes.items():
            value = getattr(found, name)
            self._tensor("head", f"an answer's {name}", value, shape, pattern)
            if not torch.compiler.is_compiling() and value.numel():
                low, high = torch.stack(torch.aminmax(value.detach())).tolist()
                if not -_ROUNDING <= low <= high <= 1 + _ROUNDING:  # not so for NaN, either
                    raise self._lie("head", f"answered with {name} from {low:.3g} to {high:.3g}", "in [0, 1]")
        return found

    # -- how -----------------------------------------------------------------------------------
    def _tensor(self, part: str, what: str, found: Any, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """`found` is (B, *shape), for the batch of `like`."""
        # In a traced graph the batch is a symbol, and comparing two of them would fix it.
        same_batch = torch.compiler.is_compiling() or (
            isinstance(found, Tensor) and found.ndim > 0 and found.shape[0] == like.shape[0]
        )
        if not isinstance(found, Tensor) or tuple(found.shape[1:]) != shape or not same_batch:
            promised = f"{_batch_of(shape)} for {like.shape[0]} pictures"
            raise self._lie(part, f"returned for {what} {_told(found)}", promised)
        self._watch(part, what, found)
        return found

    def _coverage(self, part: str, found: Any, images: Tensor) -> None:
        if not isinstance(found, Tensor) or found.ndim != 4:
            raise self._lie(part, f"returned for coverage {_told(found)}", "logits (B, 1, h, w)")
        self._tensor(part, "coverage", found, (1, *found.shape[2:]), images)

    def _watch(self, part: str, what: str, found: Tensor) -> None:
        if self.watching and _broken(found, logits=what in _LOGITS):
            raise _NotFinite(f"{what} of {named(self.config, part)}")

    def _lie(self, part: str, came: str, promised: str) -> ShapeError:
        return ShapeError(f"{named(self.config, part)} {came}; promised is {promised}")


def finite_output(output: FaceOutput) -> bool:
    """Whether an answer can be used: no NaN, and nothing infinite but logits, which are then certain."""
    restored = None if output.restoration is None else output.restoration.coverage
    logits = [x for x in (output.mask, output.pattern, output.coverage, restored) if x is not None]
    numbers = [x for x in (output.embedding, output.clean, output.part) if x is not None]
    return not any(_broken(x, logits=True) for x in logits) and not any(_broken(x, logits=False) for x in numbers)


def _broken(found: Tensor, *, logits: bool) -> bool:
    return bool(torch.isnan(found).any()) if logits else not bool(torch.isfinite(found).all())


class _NotFinite(Exception):
    pass


def named(config: ModelConfig, part: str) -> str:
    """A part for messages, with every plug-in in it: "head 'gate' of plug-in 'occmask-gate'"."""
    spec = getattr(config, part)
    inner = [
        _component(path[-1], inside.name)
        for path, registry, inside in components(config)
        if path[0] == part and len(path) > 1 and not registry.is_builtin(inside.name)
    ]
    return _component(part, spec.name) + (f" (with {', '.join(inner)})" if inner else "")


def first_nonfinite(model: nn.Module, images: Tensor) -> str | None:
    """Which part of a model first makes NaN or infinity of a batch, in words; None: none does.

    The batch runs once more, without gradients; weights, buffers and random numbers stay as they are.
    """
    if not bool(torch.isfinite(images).all()):
        return "the pictures themselves"
    with watching(model):
        try:
            model(images)
        except _NotFinite as e:
            return str(e)
    return None


@contextmanager
def watching(model: Any) -> Iterator[None]:
    """Within, the first part that returns NaN or infinity raises; nothing that happens changes the model."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.trust.watching = True
    try:
        with torch.no_grad(), torch.random.fork_rng():
            yield
    finally:
        model.trust.watching = False
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _component(part: str, name: str) -> str:
    plugin = COMPONENTS[part].plugin_of(name)
    return f"{part.replace('_', ' ')} {name!r}" + (f" of plug-in {plugin!r}" if plugin else "")


def _told(found: Any) -> str:
    if isinstance(found, Tensor):
        return f"a tensor {tuple(found.shape)}"
    if isinstance(found, (tuple, list)) and type(found) in (tuple, list):
        return f"a {type(found).__name__} of {len(found)}"
    return "None" if found is None else f"a {type(found).__name__}"


def _batch_of(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['B', *map(str, shape)])})" if shape else "(B,)"
