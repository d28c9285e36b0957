"""`margin_lse` in plain torch, chunked over classes: the CPU path, and what every kernel must compute.

Chunks go over the classes, never over the rows: with many more classes than rows, chunks of rows would
read the class weights once for every few rows (and the gradient of the weights twice).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPS = 1e-12  # a row not longer than this has no direction


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 when an input is, else float32: sums of thousands of exponentials need it."""
    return torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32


def normalise(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of length 1, and one over the length they had, (n, 1); both 0 where there is no direction."""
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    inverse = length.reciprocal().masked_fill(length <= EPS, 0.0)  # a comparison that keeps NaN
    return rows * inverse, inverse


def normalise_backward(grad: Tensor, unit: Tensor, inverse: Tensor) -> Tensor:
    """Gradient of the rows from that of the unit rows: the part along the row is lost."""
    return inverse * (grad - (grad * unit).sum(dim=1, keepdim=True) * unit)


def _set_at(values: Tensor, column: Tensor, new: Tensor) -> None:
    """values[i, column[i]] = new[i], in place, for the rows whose column is among these."""
    inside = (column >= 0) & (column < values.shape[1])
    index = column.clamp(0, values.shape[1] - 1).unsqueeze(1)
    # no boolean indexing: it would wait for the device and break torch.compile's graph
    values.scatter_(1, index, torch.where(inside.unsqueeze(1), new.unsqueeze(1), values.gather(1, index)))


class MarginLSE(torch.autograd.Function):
    """(embedding (N, D), weight (C, D), label (N,), scale, chunk) -> log_neg (N,), cos_target (N,).

    Keeps its inputs and log_neg for the backward pass, which computes each chunk of cosines again.
    """

    @staticmethod
    def forward(
        ctx: Any, embedding: Tensor, weight: Tensor, label: Tensor, scale: float, chunk: int
    ) -> tuple[Tensor, Tensor]:
        dtype = working_dtype(embedding, weight)
        with torch.autocast(embedding.device.type, enabled=False):
            unit, _ = normalise(embedding.to(dtype))  # (N, D)
            scaled = unit * scale
            nothing = unit.new_full((unit.shape[0],), -torch.inf)
            peak, total = nothing, torch.zeros_like(nothing)
            for start in range(0, weight.shape[0], chunk):
                class_unit, _ = normalise(weight[start : start + chunk].to(dtype))
                logits = scaled @ class_unit.t()  # (N, chunk)
                _set_at(logits, label - start, nothing)
                top = torch.maximum(peak, logits.amax(dim=1))
                shift = top.masked_fill(top == -torch.inf, 0.0)  # no negative so far: -inf - -inf would be NaN
                total = total * torch.exp(peak - shift) + logits.sub_(shift.unsqueeze(1)).exp_().sum(dim=1)
                peak = top
            log_neg = peak.masked_fill(peak == -torch.inf, 0.0) + total.log()
            # clamped from below only: a label too large is an index error even where it was not checked
            target_unit, _ = normalise(weight[label.clamp(min=0)].to(dtype))  # (N, D)
            cos_target = (unit * target_unit).sum(dim=1).masked_fill(label < 0, 0.0)
        ctx.save_for_backward(embedding, weight, label, log_neg)
        ctx.scale, ctx.chunk = scale, chunk
        return log_neg, cos_target

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_log_neg: Tensor, grad_cos_target: Tensor) -> tuple[Tensor | None, ...]:
        embedding, weight, label, log_neg = ctx.saved_tensors
        dtype = log_neg.dtype
        grad_embedding: Tensor | None = None
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        with torch.autocast(embedding.device.type, enabled=False):
            unit, inverse = normalise(embedding.to(dtype))
            scaled = unit * ctx.scale
            grad_unit = torch.zeros_like(unit)
            row_scale = (grad_log_neg * ctx.scale).unsqueeze(1)
            for start in range(0, weight.shape[0], ctx.chunk):
                class_unit, class_inverse = normalise(weight[start : start + ctx.chunk].to(dtype))
                grad_cos = scaled @ class_unit.t()  # (N, chunk); first the logits, then in place their gradient
                grad_cos.sub_(log_neg.unsqueeze(1)).exp_().mul_(row_scale)
                _set_at(grad_cos, label - start, grad_cos_target)
                if ctx.needs_input_grad[0]:
                    grad_unit.addmm_(grad_cos, class_unit)
                if grad_weight is not None:
                    grad_class = normalise_backward(grad_cos.t() @ unit, class_unit, class_inverse)
                    grad_weight[start : start + ctx.chunk] = grad_class.to(weight.dtype)
            if ctx.needs_input_grad[0]:
                grad_embedding = normalise_backward(grad_unit, unit, inverse).to(embedding.dtype)
        return grad_embedding, grad_weight, None, None, None
