"""The clauses that all modules share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .examination import Arguments, Examination, mapped, rows, tensors_in
from .memory import check_memory
from .moves import check_moves


def check_module(exam: Examination, build: Callable[[], Any], arguments: Arguments) -> None:
    """The clauses of every module: `build` makes one, `arguments` are for a batch of `BATCH` faces.

    Covered: finite outputs, evaluation repeatable and face by face, one type in training and evaluation,
    arguments untouched, saving and loading, `torch.export` for any batch, `torch.compile`, moves to other devices and
    types, memory.
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
    if exam.thorough:
        _check_compile(exam, module, arguments, evaluated)

    check_moves(exam, build, arguments, evaluated)
    check_memory(exam, build(), arguments)


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
    any_batch = mapped(arguments, lambda tensor: {0: torch.export.Dim.DYNAMIC})
    with exam.clause("can be exported by torch.export, for any number of faces"):
        exported = torch.export.export(module, arguments, dynamic_shapes=any_batch).module()
        answer, fewer = exported(*arguments), exported(*rows(arguments, slice(0, 3)))
    same = "answers the same when exported by torch.export"
    exam.require_same(answer, output, same, tolerance=1e-4)
    exam.require_same(fewer, rows(output, slice(0, 3)), f"{same}, to fewer faces too", tolerance=1e-4)


def _check_compile(exam: Examination, module: Any, arguments: Arguments, output: Any) -> None:
    """By aot_eager, which traces forward and backward and needs no C++ compiler."""
    torch._dynamo.reset()
    with exam.clause("is compiled by torch.compile in one graph, forward and backward"), torch.enable_grad():
        answer = torch.compile(module, backend="aot_eager", fullgraph=True)(*arguments)
        reached = [tensor.sum() for tensor in tensors_in(answer) if tensor.requires_grad]
        if reached:
            torch.stack(reached).sum().backward()
    torch._dynamo.reset()
    module.zero_grad(set_to_none=True)
    exam.require_same(answer, output, "answers the same when compiled by torch.compile", tolerance=1e-4)


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


def _form(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype
    return type(value), [_form(item) for item in value] if isinstance(value, (tuple, list)) else None
