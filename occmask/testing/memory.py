"""What a module keeps for its backward pass, and what it must not keep."""

from __future__ import annotations

import gc
from typing import Any

import torch
from torch import Tensor, nn

from .examination import Arguments, Examination, mapped, tensors_in

_BATCHES = (2, 4, 8)
_SLACK = 64  # bytes


def check_memory(exam: Examination, module: nn.Module, arguments: Arguments) -> None:
    """Nothing is saved for backward without gradients, nothing lives on after a call, and twice the faces need at most
    twice the memory.
    """
    with torch.no_grad():
        module.eval()
        saved = saved_bytes(module, arguments)
    exam.require(saved == 0, f"saves nothing for a backward pass under torch.no_grad(), not {saved:,} bytes")
    module.train()
    if exam.thorough:
        _check_nothing_is_kept(exam, module, arguments)
    few, more, most = (saved_bytes(module, _repeated(arguments, batch)) for batch in _BATCHES)
    exam.require(
        most - more <= 2 * (more - few) + _SLACK,
        "saves at most twice as much for the backward pass of twice as many faces, but "
        + ", ".join(f"{size:,} bytes for {batch}" for size, batch in zip((few, more, most), _BATCHES, strict=True)),
    )


def saved_bytes(module: nn.Module, arguments: Arguments) -> int:
    """Bytes that a call saves for its backward pass: each storage once, weights and the arguments' own left out."""
    known = {_place(tensor) for tensor in (*module.parameters(), *module.buffers(), *tensors_in(arguments))}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if _place(tensor) not in known:
            saved[_place(tensor)] = tensor.untyped_storage().nbytes()
        kept.append(tensor)  # as long as all are alive no two share an address
        return tensor

    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(*arguments)
    return sum(saved.values())


def _check_nothing_is_kept(exam: Examination, module: nn.Module, arguments: Arguments) -> None:
    module(*arguments)  # what a first call makes once and for all may stay
    before = _live()
    module(*arguments)
    gc.collect()
    own = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    left = [t for key, t in _live().items() if key not in before and key not in own]
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in left)
    exam.require(not left, f"keeps no tensor of a batch after the call, but somebody still holds {shapes}")


def _live() -> dict[int, Tensor]:
    """Every tensor that Python holds, by its id; whoever keeps the answer keeps the ids theirs."""
    return {id(found): found for found in gc.get_objects() if issubclass(type(found), Tensor)}


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _repeated(arguments: Arguments, batch: int) -> Any:
    def repeat(tensor: Tensor) -> Tensor:
        times = -(-batch // len(tensor))
        return tensor.detach().repeat(times, *[1] * (tensor.ndim - 1))[:batch].clone()

    return mapped(arguments, repeat)
