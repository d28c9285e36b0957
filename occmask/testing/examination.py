"""What every check is made of: one component under examination, and the clauses that all modules share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..registry import Registry
from ..spec import Spec

T = TypeVar("T")
Component = str | Spec | Mapping[str, Any] | Callable[..., T]  # how a check is told what to examine
Arguments = tuple[Any, ...]  # tensors, and tuples of tensors

BATCH = 4


class Examination:
    """Turns whatever goes wrong with one component into an `AssertionError` that names it and the broken clause."""

    def __init__(self, registry: Registry[Any], component: Component[Any], *, situation: str = ""):
        self.registry, self.component = registry, component
        if isinstance(component, (str, Spec, Mapping)):
            self.name = repr(Spec.of(component).name)
        else:
            self.name = getattr(component, "__qualname__", repr(component))
        self.what = f"{registry.kind} {self.name}" + (f" ({situation})" if situation else "")

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


def check_module(exam: Examination, build: Callable[[], Any], arguments: Arguments) -> None:
    """The clauses of every module: `build` makes one, `arguments` are for a batch of `BATCH` faces.

    Covered: finite outputs, evaluation repeatable and face by face, one type in training and evaluation,
    arguments untouched, float64, saving and loading, `torch.export`.
    """
    module = build()
    exam.require(isinstance(module, nn.Module), f"is a torch.nn.Module, not a {type(module).__name__}")
    untouched = copy.deepcopy(arguments)

    with torch.no_grad():
        with exam.clause("takes a batch in training mode"):
            trained = module.train()(*arguments)
        exam.require_finite(trained, "in training")
        with exam.clause("takes a batch in evaluation mode"):
            evaluated = module.eval()(*arguments)
        exam.require_finite(evaluated, "in evaluation")
        exam.require_same(arguments, untouched, "leaves its inputs as they were, but changed them in place")
        exam.require(_form(trained) == _form(evaluated), "returns the same type and shapes in training and evaluation")
        repeated = module(*arguments)
        exam.require_same(evaluated, repeated, "gives the same answer twice in evaluation, but these two differ")
        with exam.clause("takes a single face in evaluation"):
            alone = module(*rows(arguments, slice(0, 1)))
        first = rows(evaluated, slice(0, 1))
        exam.require_same(
            alone, first, "judges each face on its own in evaluation, but other faces changed it", tolerance=1e-4
        )

        _check_saving(exam, build, module, arguments, evaluated)
        _check_export(exam, module, arguments, evaluated)

        with exam.clause("computes in float64 when asked to by .double()"):
            precise = build().double().eval()(*converted(arguments, torch.float64))
        exam.require(
            all(t.dtype == torch.float64 for t in tensors_in(precise) if t.is_floating_point()),
            "returns float64 for float64 inputs after .double()",
        )


def _check_saving(exam: Examination, build: Callable[[], Any], module: Any, arguments: Arguments, output: Any) -> None:
    state = module.state_dict()
    strange = [name for name, value in state.items() if not isinstance(value, Tensor)]
    exam.require(not strange, f"keeps only tensors in its state_dict, not {', '.join(strange)}")
    fresh = build()
    with exam.clause("takes back its own state_dict"):
        fresh.load_state_dict(state)
    exam.require_same(
        fresh.eval()(*arguments),
        output,
        "answers as before after saving and loading, but something it uses is not in its state_dict",
        tolerance=1e-6,
    )


def _check_export(exam: Examination, module: Any, arguments: Arguments, output: Any) -> None:
    with exam.clause("can be exported by torch.export"):
        exported = torch.export.export(module, arguments).module()
        answer = exported(*arguments)
    exam.require_same(answer, output, "answers the same when exported by torch.export", tolerance=1e-4)


def check_gradients(exam: Examination, module: nn.Module, output: object, *losses: Tensor) -> None:
    """Every trainable parameter learns from a random projection of the outputs plus the losses."""
    total = sum(losses, start=torch.zeros(()))
    for tensor in tensors_in(output):
        if tensor.requires_grad:
            total = total + (tensor * torch.randn_like(tensor)).sum()
    exam.require(bool(total.requires_grad), "is trained by gradient descent, but no gradient leads from its outputs")
    with exam.clause("can be differentiated"):
        total.backward()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            exam.require(
                parameter.grad is not None,
                f"trains every parameter that requires a gradient, but none reaches {name!r}; "
                "use it, freeze it, or leave it out",
            )
            exam.require_finite(parameter.grad, f"in the gradient of {name!r}")


def learns(module: nn.Module) -> bool:
    """Whether anything in it is trained."""
    return any(parameter.requires_grad for parameter in module.parameters())


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
    return _mapped(value, lambda tensor: tensor[which])


def converted(value: Any, dtype: torch.dtype) -> Any:
    """Nested tensors in another type."""
    return _mapped(value, lambda tensor: tensor.to(dtype))


def _mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, (tuple, list)):
        items = [_mapped(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _form(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype
    return type(value), [_form(item) for item in value] if isinstance(value, (tuple, list)) else None
