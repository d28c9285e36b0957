"""The kernels as operators of torch: `occmask::mask_apply`, `occmask::mask_apply_and_gate` and their backward pass.

What no kernel takes (float64, a CPU outside Triton's interpreter) the same operators compute with the reference.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._dispatch import HAS_TRITON, INTERPRET, KERNEL_DTYPES
from . import reference


@torch.library.custom_op("occmask::mask_apply", mutates_args=())
def mask_apply(x: Tensor, logits: Tensor, threshold: float | None) -> Tensor:
    x, logits = _laid_out(x, logits)
    gated = torch.empty_like(x)
    if _has_kernel(x, logits):
        from . import kernel

        kernel.forward(x, logits, threshold, gated, None)
        return gated
    return gated.copy_(reference.forward(x, logits, threshold))


@torch.library.custom_op("occmask::mask_apply_and_gate", mutates_args=())
def mask_apply_and_gate(x: Tensor, logits: Tensor, threshold: float | None) -> tuple[Tensor, Tensor]:
    x, logits = _laid_out(x, logits)
    gated, gate = torch.empty_like(x), torch.empty_like(logits, dtype=x.dtype)
    if _has_kernel(x, logits):
        from . import kernel

        kernel.forward(x, logits, threshold, gated, gate)
        return gated, gate
    for result, value in zip((gated, gate), reference.forward_and_gate(x, logits, threshold), strict=True):
        result.copy_(value)
    return gated, gate


@torch.library.custom_op("occmask::mask_apply_backward", mutates_args=())
def mask_apply_backward(
    grad: Tensor,
    grad_gate: Tensor | None,
    x: Tensor,
    logits: Tensor,
    threshold: float | None,
    needs_x: bool,
    needs_logits: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients of x and of logits; one that is not needed is an empty tensor."""
    x, logits = _laid_out(x, logits)
    grad = _as(x, grad)
    grad_gate = None if grad_gate is None else _as(logits, grad_gate)
    grad_x = torch.empty_like(x) if needs_x else x.new_empty(0)
    grad_logits = torch.empty_like(logits) if needs_logits else logits.new_empty(0)
    if _has_kernel(grad, x, logits):
        from . import kernel

        results = grad_x if needs_x else None, grad_logits if needs_logits else None
        kernel.backward(grad, grad_gate, x, logits, threshold, *results)
        return grad_x, grad_logits
    values = reference.backward(grad, grad_gate, x, logits, threshold, needs_x, needs_logits)
    for result, value in zip((grad_x, grad_logits), values, strict=True):
        if value is not None:
            result.copy_(value)
    return grad_x, grad_logits


@mask_apply.register_fake
def _(x: Tensor, logits: Tensor, threshold: float | None) -> Tensor:
    return torch.empty_like(x, memory_format=_format(x, logits))


@mask_apply_and_gate.register_fake
def _(x: Tensor, logits: Tensor, threshold: float | None) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, memory_format=_format(x, logits)), _empty_gate(x, logits, x.dtype)


@mask_apply_backward.register_fake
def _(
    grad: Tensor,
    grad_gate: Tensor | None,
    x: Tensor,
    logits: Tensor,
    threshold: float | None,
    needs_x: bool,
    needs_logits: bool,
) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(x, memory_format=_format(x, logits)) if needs_x else x.new_empty(0),
        _empty_gate(x, logits, logits.dtype) if needs_logits else logits.new_empty(0),
    )


def _keep_inputs(ctx: Any, inputs: tuple[Tensor, Tensor, float | None], output: Any) -> None:
    x, logits, ctx.threshold = inputs
    ctx.save_for_backward(x, logits)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, grad: Tensor | None, grad_gate: Tensor | None = None) -> tuple[Tensor | None, ...]:
    x, logits = ctx.saved_tensors
    needs_x, needs_logits, _ = ctx.needs_input_grad
    if grad is None:  # only the gate was used: no map to pass over
        return *reference.backward(None, grad_gate, x, logits, ctx.threshold, needs_x, needs_logits), None
    grad_x, grad_logits = mask_apply_backward(grad, grad_gate, x, logits, ctx.threshold, needs_x, needs_logits)
    return grad_x if needs_x else None, grad_logits if needs_logits else None, None


mask_apply.register_autograd(_backward, setup_context=_keep_inputs)
mask_apply_and_gate.register_autograd(_backward, setup_context=_keep_inputs)


def _has_kernel(*tensors: Tensor) -> bool:
    on_device = tensors[0].is_cuda or (INTERPRET and tensors[0].device.type == "cpu")
    return HAS_TRITON and on_device and all(t.dtype in KERNEL_DTYPES for t in tensors)


def _laid_out(x: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Both dense, and in an order in memory that the kernels take: as they are, if they can stay."""
    if x.shape == logits.shape:
        x = x if _is_dense(x) else x.clone()
        return x, _as(x, logits)
    return x.contiguous(memory_format=_format(x, logits)), logits.contiguous()


def _format(x: Tensor, logits: Tensor) -> torch.memory_format:
    """The memory format of what has x's shape: x's own, or one of two if all channels share a gate."""
    if x.shape == logits.shape:
        return torch.preserve_format
    as_is = x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last)
    return torch.contiguous_format if as_is else torch.channels_last


def _empty_gate(x: Tensor, logits: Tensor, dtype: torch.dtype) -> Tensor:
    """What has the gate's shape: in x's memory format where the shape is x's, else contiguous."""
    if x.shape == logits.shape:
        return torch.empty_like(x, dtype=dtype)
    return torch.empty_like(logits, dtype=dtype, memory_format=torch.contiguous_format)


def _is_dense(x: Tensor) -> bool:
    """Whether x fills its stretch of memory: without gaps, and without elements that share a place."""
    expected = 1
    for stride, size in sorted((stride, size) for size, stride in zip(x.shape, x.stride(), strict=True) if size != 1):
        if stride != expected:
            return x.numel() == 0
        expected *= size
    return True


def _as(model: Tensor, other: Tensor) -> Tensor:
    """`other` laid out as `model`, which is dense and of its shape."""
    strides = zip(model.shape, model.stride(), other.stride(), strict=True)
    same = all(first == second for size, first, second in strides if size != 1)
    return other if same else torch.empty_like(model, dtype=other.dtype).copy_(other)
