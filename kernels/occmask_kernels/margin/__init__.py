"""The classifier of a margin loss: every class in the denominator, never an N x C matrix in memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from . import reference

DEFAULT_CHUNK = 2048  # classes at a time: the fastest of 1024..8192 at (128..512, 10572, 512) on a CPU

__all__ = ["DEFAULT_CHUNK", "margin_lse"]


def margin_lse(
    embedding: Tensor, weight: Tensor, label: Tensor, scale: float, *, chunk: int = DEFAULT_CHUNK
) -> tuple[Tensor, Tensor]:
    """Log-sum-exp of the scaled cosines of all other classes, and the cosine of one's own class.

    With cos_ij the cosine of embedding i and class weight j,

        log_neg_i = log sum_{j != label_i} exp(scale * cos_ij),    cos_target_i = cos_{i, label_i}

    so that a margin loss with target function phi is `softplus(log_neg - scale * phi(cos_target))`,
    and any margin on the own class is ordinary autograd on vectors of N numbers.

    embedding: (N, D) and weight: (C, D), floating point, not normalised; the gradients of both go
    through the normalisation.  label: (N,) integers in [0, C), or -1 for "not among these classes":
    no class is left out of the sum and cos_target is 0.  scale: a finite number of any size.
    chunk: how many classes are worked on at a time; the largest temporary is N x chunk.
    Returns log_neg (N,) and cos_target (N,): float64 if an input is, else float32, whatever autocast says.

    A row of no length (at most 1e-12) has cosine 0 with everything and gradient 0.  NaN gives NaN.
    With one class that is the row's own, log_neg is -inf.  Parts of `weight` add up:
    logaddexp of their log_neg, sum of their cos_target.

    Raises ValueError for shapes, types or devices that do not fit, a label outside [-1, C), a scale
    that is not finite.  Inside torch.compile the labels' values are not looked at.
    """
    _check(embedding, weight, label, scale, chunk)
    log_neg, cos_target = reference.MarginLSE.apply(embedding, weight, label.long(), float(scale), chunk)
    return log_neg, cos_target


def _check(embedding: Tensor, weight: Tensor, label: Tensor, scale: float, chunk: int) -> None:
    if embedding.ndim != 2 or weight.ndim != 2 or embedding.shape[1] != weight.shape[1]:
        raise ValueError(
            f"embedding (N, D) and weight (C, D) share D, but got {tuple(embedding.shape)} and {tuple(weight.shape)}"
        )
    rows, classes = embedding.shape[0], weight.shape[0]
    if classes == 0:
        raise ValueError("weight (C, D) has no class; give at least one row")
    if label.shape != (rows,):
        raise ValueError(f"label has shape {tuple(label.shape)}; embedding {tuple(embedding.shape)} needs ({rows},)")
    if not (embedding.is_floating_point() and weight.is_floating_point()):
        raise ValueError(f"embedding and weight are floating point, not {embedding.dtype} and {weight.dtype}")
    if label.is_floating_point() or label.is_complex() or label.dtype is torch.bool:
        raise ValueError(f"label holds integers (torch.int64), not {label.dtype}")
    if not embedding.device == weight.device == label.device:
        raise ValueError(
            "embedding, weight and label are on one device, "
            f"not on {embedding.device}, {weight.device} and {label.device}"
        )
    if isinstance(scale, Tensor) or not math.isfinite(scale):
        raise ValueError(f"scale is a finite number such as 64.0, not {scale!r}")
    if chunk < 1:
        raise ValueError(f"chunk is the number of classes worked on at a time, at least 1, not {chunk!r}")
    if rows and not torch.compiler.is_compiling():
        low, high = torch.stack(torch.aminmax(label)).tolist()
        if low < -1 or high >= classes:
            wrong = low if low < -1 else high
            raise ValueError(f"label {wrong} is out of range: with {classes} classes give 0..{classes - 1}, or -1")
