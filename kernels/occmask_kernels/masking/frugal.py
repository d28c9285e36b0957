"""The reference's formulas on a CPU, in fewer passes and with fewer temporaries. Not differentiable.

Half precision is computed in float32 a few rows at a time, so that the wide copies stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

PIECE = 1 << 17  # elements that are widened at a time: the fastest of 2^15..2^18 for bf16 (64, 512, 7, 6) on one core
GRAIN = 1 << 15  # elements that torch gives a thread at least

# softplus'(l) = sigmoid(l), so torch's gradient of softplus(l), x coming in, is x * sigmoid(l): one pass, nothing in
# between, half precision rounded once.  From these logits on it is x; there the sigmoid rounds to 1.  Below, torch
# multiplies by exp(l) before it divides: abs(x) beyond 5e30 (float32) or 2e292 (float64) may come out infinite.
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
    soft: Tensor | None,
) -> tuple[Tensor | None, Tensor | None]:
    """`soft`: the sigmoid of the logits in the working type, where it was kept."""
    needs_x = needs_x and grad is not None
    needs_logits = needs_logits and (grad is not None or grad_gate is not None)
    if x.dtype == logits.dtype == working_dtype(x):
        return _backward(
            grad, grad_gate, x, soft if soft is not None else logits.sigmoid(), threshold, needs_x, needs_logits
        )
    grad_x = torch.empty_like(x) if needs_x else None
    grad_logits = torch.empty_like(logits) if needs_logits else None
    for part in _pieces(grad_x, grad_logits, grad, grad_gate, x, logits):
        _backward_widened(threshold, *part)
    return grad_x, grad_logits


def _backward(
    grad: Any,  # a tensor, or None
    grad_gate: Any,
    x: Tensor,
    soft: Tensor,
    threshold: float | None,
    needs_x: bool,
    needs_logits: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """Both gradients where all tensors are of the working type. The product's memory is returned."""
    product = grad_x = grad_logits = None
    if needs_logits:
        if grad is None:
            grad_logits = grad_gate.clone()
        elif x.shape != soft.shape:
            product = grad * x
            grad_logits = product.sum(1, keepdim=True)
            if grad_gate is not None:
                grad_logits += grad_gate
        else:
            grad_logits = grad * x if grad_gate is None else torch.addcmul(grad_gate, grad, x)
        grad_logits = _times_slope(grad_logits, soft)
    if needs_x:
        gate = soft if threshold is None else soft.ge(threshold).to(soft.dtype)
        grad_x = grad * gate if product is None else torch.mul(grad, gate, out=product)
    return grad_x, grad_logits


def _backward_widened(
    threshold: float | None,
    grad_x: Tensor | None,
    grad_logits: Tensor | None,
    grad: Any,
    grad_gate: Any,
    x: Tensor,
    logits: Tensor,
) -> None:
    """Write the gradients that are asked for. Three wide copies at most are alive at once."""
    dtype = working_dtype(x)
    soft = _sigmoid(logits, dtype)
    wide: Any = None if grad is None else grad.to(dtype, copy=True)
    if grad_logits is not None:
        if wide is None:
            product = grad_gate.to(dtype, copy=True)
        else:
            product = x.to(dtype, copy=True).mul_(wide)
            if x.shape != logits.shape:
                product = product.sum(1, keepdim=True)
            if grad_gate is not None:
                product += grad_gate
        grad_logits.copy_(_times_slope(product, soft))
        del product
    if grad_x is not None:
        grad_x.copy_(wide.mul_(_opened(soft, threshold)))


def working_dtype(x: Tensor) -> torch.dtype:
    """What a gate is computed in: x's type, but float32 for half precision."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _sigmoid(logits: Tensor, dtype: torch.dtype) -> Tensor:
    """A new tensor, free to be written into."""
    return logits.sigmoid() if logits.dtype == dtype else logits.to(dtype).sigmoid_()


def _opened(soft: Tensor, threshold: float | None) -> Tensor:
    return soft if threshold is None else soft.ge_(threshold)


def _times_slope(grad: Tensor, soft: Tensor) -> Tensor:
    """grad * soft * (1 - soft), written into grad."""
    sloped: Tensor = torch.ops.aten.sigmoid_backward.grad_input(grad, soft, grad_input=grad)
    return sloped


def _times(gate: Tensor, x: Tensor) -> Tensor:
    """x * gate in x's memory format, written into the gate where that has it too."""
    return gate.mul_(x) if gate.stride() == x.stride() and gate.shape == x.shape else x * gate


def _pieces(*tensors: Any) -> Iterator[tuple[Any, ...]]:
    """The same few rows of each tensor at a time, at most a quarter of them; what is None stays None."""
    largest = max((t for t in tensors if t is not None), key=torch.numel)
    total, rows = largest.numel(), largest.shape[0]
    size = min(max(PIECE, GRAIN * torch.get_num_threads()), total // 4)
    step = max(1, size * rows // max(1, total))
    return zip(*((None,) * -(-rows // step) if t is None else t.split(step) for t in tensors), strict=True)
