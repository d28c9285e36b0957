"""`mask_apply` in plain torch: what every kernel must compute, and what runs where no kernel does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import frugal

Gradients = tuple[Tensor | None, Tensor | None]  # of x and of logits; None where it is not needed

SMALL = 1 << 20  # numbers of a map: below, what surrounds the arithmetic counts on a CPU


def mask_apply(x: Tensor, logits: Tensor, threshold: float | None) -> Tensor:
    """x * gate. Differentiable: keeps x and logits, and on a CPU the gate."""
    if threshold is None and _is_plain(x, logits):
        return x * logits.sigmoid()
    if torch.is_grad_enabled() and (x.requires_grad or logits.requires_grad):
        gated: Tensor = _MaskApply.apply(x, logits, threshold)
        return gated
    return forward(x, logits, threshold)


def mask_apply_and_gate(x: Tensor, logits: Tensor, threshold: float | None) -> tuple[Tensor, Tensor]:
    """x * gate, and sigmoid(logits) in x's type. Differentiable in both; keeps x and logits, and on a CPU the gate."""
    if threshold is None and _is_plain(x, logits):
        soft = logits.sigmoid()
        return x * soft, soft
    if torch.is_grad_enabled() and (x.requires_grad or logits.requires_grad):
        gated, gate = _MaskApplyAndGate.apply(x, logits, threshold)
        return gated, gate
    return forward_and_gate(x, logits, threshold)


def forward(x: Tensor, logits: Tensor, threshold: float | None) -> Tensor:
    if _runs_frugally(x):
        return frugal.forward(x, logits, threshold)
    dtype = frugal.working_dtype(x)
    return (x.to(dtype) * _gate(logits.to(dtype).sigmoid(), threshold)).to(x.dtype)


def forward_and_gate(x: Tensor, logits: Tensor, threshold: float | None) -> tuple[Tensor, Tensor]:
    if _runs_frugally(x):
        return frugal.forward_and_gate(x, logits, threshold)
    dtype = frugal.working_dtype(x)
    soft = logits.to(dtype).sigmoid()
    return (x.to(dtype) * _gate(soft, threshold)).to(x.dtype), soft.to(x.dtype)


def backward(
    grad: Tensor | None,
    grad_gate: Tensor | None,
    x: Tensor,
    logits: Tensor,
    threshold: float | None,
    needs_x: bool,
    needs_logits: bool,
    soft: Tensor | None = None,
) -> Gradients:
    """Gradients of x and logits from those of `x * gate` and of the soft gate; a missing one counts as 0.

    `soft`: sigmoid(logits), where it was kept.
    """
    if _runs_frugally(x) and not torch.is_grad_enabled():
        return frugal.backward(grad, grad_gate, x, logits, threshold, needs_x, needs_logits, soft)
    dtype = frugal.working_dtype(x)
    soft = logits.to(dtype).sigmoid()  # not the kept one: this may be differentiated again
    grad_x = grad_logits = None
    if needs_x and grad is not None:
        grad_x = (grad.to(dtype) * _gate(soft, threshold)).to(x.dtype)
    if needs_logits and (grad is not None or grad_gate is not None):
        grad_soft = torch.zeros_like(soft) if grad_gate is None else grad_gate.to(dtype)
        if grad is not None:
            grad_soft = grad_soft + (grad.to(dtype) * x.to(dtype)).sum_to_size(logits.shape)
        grad_logits = (grad_soft * soft * (1 - soft)).to(logits.dtype)
    return grad_x, grad_logits


def _gate(soft: Tensor, threshold: float | None) -> Tensor:
    return soft if threshold is None else (soft >= threshold).to(soft.dtype)


def _runs_frugally(x: Tensor) -> bool:
    """Writing into temporaries pays on a CPU. A compiler finds that out itself, from the plain formula."""
    return x.is_cpu and not torch.compiler.is_compiling()


def _is_plain(x: Tensor, logits: Tensor) -> bool:
    """Whether torch's own two operations are as good as ours: a small map, and nothing to round."""
    return _keeps_gate(x, logits) and x.numel() < SMALL  # in this order: an exported size is no number


def _keeps_gate(x: Tensor, logits: Tensor) -> bool:
    """On a CPU a sigmoid takes longer to compute again than to read, if it need not be widened first."""
    return _runs_frugally(x) and x.dtype == logits.dtype == frugal.working_dtype(x)


class _MaskApply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor, threshold: float | None) -> Tensor:
        ctx.threshold = threshold
        if _keeps_gate(x, logits):
            gated, soft = forward_and_gate(x, logits, threshold)
            ctx.save_for_backward(x, logits, soft)
            return gated
        ctx.save_for_backward(x, logits)
        return forward(x, logits, threshold)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        needs_x, needs_logits, _ = ctx.needs_input_grad
        x, logits, *soft = ctx.saved_tensors
        return *backward(grad, None, x, logits, ctx.threshold, needs_x, needs_logits, *soft), None


class _MaskApplyAndGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor, threshold: float | None) -> tuple[Tensor, Tensor]:
        gated, gate = forward_and_gate(x, logits, threshold)
        ctx.save_for_backward(x, logits, *([gate] if _keeps_gate(x, logits) else []))
        ctx.threshold = threshold
        ctx.set_materialize_grads(False)
        return gated, gate

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_gate: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        needs_x, needs_logits, _ = ctx.needs_input_grad
        x, logits, *soft = ctx.saved_tensors
        return *backward(grad, grad_gate, x, logits, ctx.threshold, needs_x, needs_logits, *soft), None
