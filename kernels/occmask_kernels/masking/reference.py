"""`mask_apply` in plain torch: the CPU path, and what every kernel must compute."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _working_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _gate(soft: Tensor, threshold: float | None) -> Tensor:
    return soft if threshold is None else (soft >= threshold).to(soft.dtype)


class MaskApply(torch.autograd.Function):
    """(x, logits, threshold) -> x * gate. Keeps x and logits; the backward pass computes the gate again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor, threshold: float | None) -> Tensor:
        ctx.save_for_backward(x, logits)
        ctx.threshold = threshold
        dtype = _working_dtype(x)
        return (x.to(dtype) * _gate(logits.to(dtype).sigmoid(), threshold)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, logits = ctx.saved_tensors
        dtype = _working_dtype(x)
        grad, soft = grad.to(dtype), logits.to(dtype).sigmoid()
        grad_x = grad_logits = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad * _gate(soft, ctx.threshold)).to(x.dtype)
        if ctx.needs_input_grad[1]:
            grad_soft = (grad * x.to(dtype)).sum_to_size(logits.shape)  # one gate for all channels sums over them
            grad_logits = (grad_soft * soft * (1 - soft)).to(logits.dtype)
        return grad_x, grad_logits, None
