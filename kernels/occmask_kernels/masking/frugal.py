"""The reference's formulas on a CPU, in fewer passes and with fewer temporaries. Not differentiable.

Large tensors are worked on a few rows at a time: float32 and float64 so that what one pass writes is still in the
cache for the next, half precision so that its wide copies stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

PIECE = 1 << 18  # elements at a time: the fastest of 2^15..2^18, and all at once, for (64, 512, 7, 6) on one core
GRAIN = 1 << 15  # elements that torch gives a thread at least

# softplus'(l) = sigmoid(l), so torch's gradient of softplus(l), x coming in, is x * sigmoid(l): one pass, nothing in
# between, half precision rounded once.  From these logits on it is x; there the sigmoid rounds to 1.
ONE_IN_FLOAT64 = 37.0
ONE_IN_FLOAT32 = 18.0


def forward(x: Tensor, logits: Tensor, threshold: float | None) -> Tensor:
    if threshold is None and x.shape == logits.shape and x.dtype == logits.dtype:
        limit = ONE_IN_FLOAT64 if x.dtype == torch.float64 else ONE_IN_FLOAT32
        gated: Tensor = torch.ops.aten.softplus_backward.default(x, logits, 1, limit)
        return gated
    dtype = working_dtype(x)
    if x.dtype == dtype:
        return _times(_opened(_sigmoid(logits, dtype), threshold), x)
    gated = torch.empty_like(x)
    for part, x_part, logits_part in _pieces(gated, x, logits):
        part.copy_(x_part.to(dtype).mul_(_opened(_sigmoid(logits_part, dtype), threshold)))
    return gated


def forward_and_gate(x: Tensor, logits: Tensor, threshold: float | None) -> tuple[Tensor, Tensor]:
    dtype = working_dtype(x)
    if x.dtype == dtype:
        soft = _sigmoid(logits, dtype)
        return (x * soft, soft) if threshold is None else (_times(soft.ge(threshold).to(dtype), x), soft)
    gated, gate = torch.empty_like(x), torch.empty_like(logits, dtype=x.dtype)
    for part, gate_part, x_part, logits_part in _pieces(gated, gate, x, logits):
        soft = _sigmoid(logits_part, dtype)
        gate_part.copy_(soft)
        part.copy_(x_part.to(dtype).mul_(_opened(soft, threshold)))
    return gated, gate


def backward(
    grad: Tensor | None,
    grad_gate: Tensor | None,
    x: Tensor,
    logits: Tensor,
    threshold: float | None,
    needs_x: bool,
    needs_logits: bool,
) -> tuple[Tensor | None, Tensor | None]:
    dtype = working_dtype(x)
    grad_x = torch.empty_like(x) if needs_x and grad is not None else None
    needs_logits = needs_logits and (grad is not None or grad_gate is not None)
    grad_logits = torch.empty_like(logits) if needs_logits else None
    as_is = x.dtype == logits.dtype == dtype
    for to_x, to_logits, *inputs in _pieces(grad_x, grad_logits, grad, grad_gate, x, logits):
        if as_is:
            _backward(threshold, to_x, to_logits, *inputs)
            continue
        wide_x, wide_logits = _empty_like(to_x, dtype), _empty_like(to_logits, dtype)
        wide_inputs: list[Any] = [None if t is None else t.to(dtype) for t in inputs]
        _backward(threshold, wide_x, wide_logits, *wide_inputs)
        if to_x is not None:
            to_x.copy_(wide_x)
        if to_logits is not None:
            to_logits.copy_(wide_logits)
    return grad_x, grad_logits


def _backward(
    threshold: float | None,
    grad_x: Tensor | None,
    grad_logits: Tensor | None,
    grad: Any,  # a tensor, or None
    grad_gate: Any,
    x: Tensor,
    logits: Tensor,
) -> None:
    """Write the gradients asked for; all tensors are of one type. Until grad_x is due its memory holds temporaries."""
    shared = x.shape != logits.shape
    soft = torch.sigmoid(logits, out=None if shared else grad_x)
    if grad_logits is not None:
        if grad is None:
            grad_logits.copy_(grad_gate)
        elif shared:
            torch.sum(torch.mul(grad, x, out=grad_x), 1, keepdim=True, out=grad_logits)
            if grad_gate is not None:
                grad_logits += grad_gate
        elif grad_gate is None:
            torch.mul(grad, x, out=grad_logits)
        else:
            torch.addcmul(grad_gate, grad, x, out=grad_logits)
        torch.ops.aten.sigmoid_backward.grad_input(grad_logits, soft, grad_input=grad_logits)
    if grad_x is not None:
        torch.mul(grad, _opened(soft, threshold), out=grad_x)


def working_dtype(x: Tensor) -> torch.dtype:
    """What a gate is computed in: x's type, but float32 for half precision."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _sigmoid(logits: Tensor, dtype: torch.dtype) -> Tensor:
    """A new tensor, free to be written into."""
    return logits.sigmoid() if logits.dtype == dtype else logits.to(dtype).sigmoid_()


def _opened(soft: Tensor, threshold: float | None) -> Tensor:
    return soft if threshold is None else soft.ge_(threshold)


def _times(gate: Tensor, x: Tensor) -> Tensor:
    """x * gate in x's memory format, written into the gate where that has it too."""
    return gate.mul_(x) if gate.stride() == x.stride() and gate.shape == x.shape else x * gate


def _empty_like(part: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if part is None else torch.empty_like(part, dtype=dtype)


def _pieces(*tensors: Any) -> Iterator[tuple[Any, ...]]:
    """The same few rows of each tensor at a time; what is None stays None."""
    largest = max((t for t in tensors if t is not None), key=torch.numel)
    size = max(PIECE, GRAIN * torch.get_num_threads())
    if largest.numel() <= size:
        return iter((tensors,))
    rows = max(1, size * largest.shape[0] // largest.numel())
    count = -(-largest.shape[0] // rows)
    return zip(*((None,) * count if t is None else t.split(rows) for t in tensors), strict=True)
