"""The classifier of a margin loss that re-weights the negatives, in plain torch, chunked over classes.

The same sum as `margin_lse`, of cosines that a function has changed first.  It is any elementwise function, so what
bounds the ordinary cosines bounds nothing here, and its derivative is left to autograd, one chunk at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .checks import check_matrices, check_scale, readable
from .precision import working_dtype
from .reference import DEFAULT_CHUNK, RunningSum, normalise, normalise_backward, products

Reweight = Callable[[Tensor], Tensor]


def target_cosine(embedding: Tensor, weight: Tensor, label: Tensor) -> Tensor:
    """The cosine of each embedding with the weight of its own class.

    embedding: (N, D) and weight: (C, D), floating point, not normalised; both get a gradient.
    label: (N,) integers in [0, C), or -1 for "not among these classes", which has cosine 0.
    Returns (N,): float64 if an input is, else float32, whatever autocast says.

    A row of no length (at most 1e-12) has cosine 0 and gradient 0.  Parts of `weight` add up.
    Raises ValueError for shapes, types or devices that do not fit, and for a label outside [-1, C); on a GPU and
    inside torch.compile, where reading labels would cost a wait or a graph, such a row is NaN.
    """
    check_matrices(embedding, weight, label)
    classes, dtype = weight.shape[0], working_dtype(embedding, weight)
    with torch.autocast(embedding.device.type, enabled=False):
        own = weight[label.long().clamp(0, classes - 1)].to(dtype)  # (N, D)
        cosine = (_Direction.apply(embedding.to(dtype)) * _Direction.apply(own)).sum(dim=1)
    return _nan_outside(cosine.masked_fill(label == -1, 0.0), label, classes)


def reweighted_lse(
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: float,
    reweight: Reweight,
    *,
    chunk: int = DEFAULT_CHUNK,
) -> Tensor:
    """Log-sum-exp of the scaled, re-weighted cosines of all other classes.

        log_neg_i = log sum_{j != label_i} exp(scale * reweight(cos)_ij)

    embedding, weight and label as in `target_cosine`; with label -1 no class is left out of the sum.
    scale: a finite number.  reweight: (N, M) cosines of some M classes -> (N, M) of the same type, elementwise; it may
    hold tensors of (N, 1).  It is called once a chunk in each pass and must be the same function in both; the gradient
    goes through the cosine and to no tensor that it holds.
    chunk: how many classes are worked on at a time; the largest temporary is N x chunk.  Beside its inputs the op
    keeps log_neg for the backward pass, which computes every chunk again.
    Returns log_neg (N,): float64 if an input is, else float32, whatever autocast says.

    With one class that is the row's own, log_neg is -inf.  Parts of `weight` add up by logaddexp.
    Raises ValueError as `target_cosine` does, and for what `reweight` returns.
    """
    check_matrices(embedding, weight, label)
    check_scale(scale)
    if chunk < 1:
        raise ValueError(f"chunk is the number of classes worked on at a time, at least 1, not {chunk!r}")
    log_neg: Tensor = _ReweightedLSE.apply(embedding, weight, label.long(), float(scale), reweight, chunk)
    return _nan_outside(log_neg, label, weight.shape[0])


class _Direction(torch.autograd.Function):
    """Rows -> rows of length 1, with a gradient that is 0, and not NaN, for rows of no length."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        unit, inverse = normalise(rows)
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return normalise_backward(grad, *ctx.saved_tensors)


class _ReweightedLSE(torch.autograd.Function):
    """(embedding (N, D), weight (C, D), label (N,), scale, reweight, chunk) -> log_neg (N,)."""

    @staticmethod
    def forward(
        ctx: Any, embedding: Tensor, weight: Tensor, label: Tensor, scale: float, reweight: Reweight, chunk: int
    ) -> Tensor:
        dtype = working_dtype(embedding, weight)
        with _products():
            unit, _ = normalise(embedding.to(dtype))  # (N, D)
            total = RunningSum(unit[:, 0], bounded=False)
            for start in range(0, weight.shape[0], chunk):
                class_unit, _ = normalise(weight[start : start + chunk].to(dtype))
                logits = scale * _reweighted(reweight, unit @ class_unit.t())  # (N, chunk)
                logits.masked_fill_(_own(label, start, logits.shape[1]), -torch.inf)
                total.add(logits)
            log_neg = total.log()
        ctx.save_for_backward(embedding, weight, label, log_neg)
        ctx.scale, ctx.reweight, ctx.chunk = scale, reweight, chunk
        return log_neg

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_log_neg: Tensor) -> tuple[Tensor | None, ...]:
        embedding, weight, label, log_neg = ctx.saved_tensors
        dtype = log_neg.dtype
        grad_embedding: Tensor | None = None
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        with _products():
            unit, inverse = normalise(embedding.to(dtype))
            grad_unit = torch.zeros_like(unit)
            for start in range(0, weight.shape[0], ctx.chunk):
                class_unit, class_inverse = normalise(weight[start : start + ctx.chunk].to(dtype))
                cosine = unit @ class_unit.t()  # (N, chunk)
                changed, pull_back = torch.func.vjp(ctx.reweight, cosine)  # type: ignore[misc]
                grad_changed = (ctx.scale * changed).sub_(log_neg.unsqueeze(1)).exp_()
                grad_changed.mul_((ctx.scale * grad_log_neg).unsqueeze(1))
                grad_changed.masked_fill_(_own(label, start, cosine.shape[1]), 0.0)
                (grad_cosine,) = pull_back(grad_changed)
                if ctx.needs_input_grad[0]:
                    grad_unit.addmm_(grad_cosine, class_unit)
                if grad_weight is not None:
                    grad_class = normalise_backward(grad_cosine.t() @ unit, class_unit, class_inverse)
                    grad_weight[start : start + ctx.chunk] = grad_class.to(weight.dtype)
            if ctx.needs_input_grad[0]:
                grad_embedding = normalise_backward(grad_unit, unit, inverse).to(embedding.dtype)
        return grad_embedding, grad_weight, None, None, None, None


def _products() -> AbstractContextManager[Any]:
    """Inside torch.compile autocast is off here, and a graph cannot set the rest."""
    return torch.autocast("cpu", enabled=False) if torch.compiler.is_compiling() else products("ieee")


def _reweighted(reweight: Reweight, cosine: Tensor) -> Tensor:
    changed = reweight(cosine)
    if changed.shape != cosine.shape or changed.dtype != cosine.dtype:
        raise ValueError(
            f"reweight returned {tuple(changed.shape)} {changed.dtype} for cosines {tuple(cosine.shape)} "
            f"{cosine.dtype}; return one value of that type for each"
        )
    return changed


def _own(label: Tensor, start: int, count: int) -> Tensor:
    """(N, count): which of the classes from `start` on is the row's own."""
    return (label - start).unsqueeze(1) == torch.arange(count, device=label.device)


def _nan_outside(values: Tensor, label: Tensor, classes: int) -> Tensor:
    if readable(label):
        return values  # checked before
    return values.masked_fill((label < -1) | (label >= classes), torch.nan)
