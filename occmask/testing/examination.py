"""What every check is made of: one component under examination."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..registry import Registry
from ..spec import Spec

T = TypeVar("T")
W = TypeVar("W")
Component = str | Spec | Mapping[str, Any] | Callable[..., T]  # how a check is told what to examine
Arguments = tuple[Any, ...]  # tensors, and tuples of tensors

BATCH = 4


class Examination:
    """Turns whatever goes wrong with one component into an `AssertionError` that names it and the broken clause."""

    def __init__(
        self, registry: Registry[Any], component: Component[Any], *, situation: str = "", thorough: bool = True
    ):
        self.registry, self.component, self.thorough = registry, component, thorough
        if isinstance(component, (str, Spec, Mapping)):
            self.name = repr(Spec.of(component).name)
        else:
            self.name = getattr(component, "__qualname__", repr(component))
        self.what = f"{registry.kind} {self.name}" + (f" ({situation})" if situation else "")

    @property
    def factory(self) -> Callable[..., Any]:
        """What builds it, without the options it is examined with."""
        if isinstance(self.component, (str, Spec, Mapping)):
            return self.registry[Spec.of(self.component).name]
        return self.component

    @property
    def options(self) -> Mapping[str, Any]:
        """The options it is examined with."""
        return Spec.of(self.component).options if isinstance(self.component, (str, Spec, Mapping)) else {}

    def build(self, *wiring: Any) -> Any:
        """The component, wired as a model would."""
        with self.clause(f"is built as factory({', '.join(type(w).__name__ for w in wiring)}, **options)"):
            if isinstance(self.component, (str, Spec, Mapping)):
                return self.registry.build(self.component, *wiring)
            return self.component(*wiring)

    def require(self, holds: bool, sentence: str) -> None:
        if not holds:
            raise AssertionError(f"{self.what}: {sentence}")

    @contextmanager
    def clause(self, sentence: str) -> Iterator[None]:
        """An exception in the block breaks the clause."""
        try:
            yield
        except AssertionError:
            raise
        except Exception as e:
            raise AssertionError(f"{self.what} {sentence}, but that raised {type(e).__name__}: {e}") from e

    def require_shape(self, tensor: object, shape: tuple[int, ...], what: str) -> None:
        found = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        self.require(found == shape, f"{what} has shape {shape}, not {found}")

    def require_pixels(self, pixels: Any, shape: tuple[int | None, ...], what: str) -> None:
        """uint8 of a shape in which None stands for any number from 1."""
        kind = str(getattr(pixels, "dtype", type(pixels).__name__))
        found = tuple(getattr(pixels, "shape", ()))
        fits = len(found) == len(shape) and all(
            n >= 1 if want is None else n == want for n, want in zip(found, shape, strict=True)
        )
        asked = tuple("any" if want is None else want for want in shape)
        self.require(kind == "uint8" and fits, f"{what} is uint8 {asked}, not {kind} {found}")

    def require_finite(self, output: object, when: str) -> None:
        for tensor in tensors_in(output):
            finite = bool(torch.isfinite(tensor).all()) if tensor.is_floating_point() else True
            self.require(finite, f"outputs are finite {when}, but some are NaN or infinite")

    def require_same(self, one: object, other: object, sentence: str, *, tolerance: float = 0.0) -> None:
        ours, theirs = tensors_in(one), tensors_in(other)
        self.require(
            [(t.shape, t.dtype) for t in ours] == [(t.shape, t.dtype) for t in theirs]
            and all(torch.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in zip(ours, theirs, strict=True)),
            sentence,
        )


def examinations(
    registry: Registry[Any], component: Component[Any], situations: Iterable[tuple[str, W]]
) -> Iterator[tuple[Examination, W]]:
    """One examination a situation; clauses that cost seconds and hold everywhere or nowhere are tried in the first."""
    for index, (situation, wiring) in enumerate(situations):
        yield Examination(registry, component, situation=situation, thorough=index == 0), wiring


@contextmanager
def seeded() -> Iterator[None]:
    """The same random numbers at every run, and the caller's left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20_220_601)
        yield


def tensors_in(value: object) -> list[Tensor]:
    """The tensors of nested tuples and lists, in order; None and the rest are passed over."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in tensors_in(item)] if isinstance(value, (tuple, list)) else []


def rows(value: Any, which: slice) -> Any:
    """Nested tensors with only these faces."""
    return mapped(value, lambda tensor: tensor[which])


def converted(value: Any, dtype: torch.dtype) -> Any:
    """Nested tensors in another type."""
    return mapped(value, lambda tensor: tensor.to(dtype))


def mapped(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """Nested tensors, each as the function makes it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, (tuple, list)):
        items = [mapped(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
