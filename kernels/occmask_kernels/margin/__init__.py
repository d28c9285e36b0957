"""The classifier of a margin loss: every class in the denominator, never an N x C matrix in memory."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .._dispatch import use_triton
from . import op
from .checks import check_matrices, check_settings, readable
from .precision import PRECISIONS, TILE, is_bounded, working_dtype
from .reference import DEFAULT_CHUNK

Cache = int | Literal["auto"]

_LARGEST_SCALE = 1000.0  # of the kernels, whose exponents are exact to float32's 24 bits: 1e-4 of a probability there
_TILE_STEP = 256  # classes of a kernel's whole tiles
_CPU_CACHE = 2**25  # bytes that are kept unasked where no kernel runs

__all__ = ["DEFAULT_CHUNK", "PRECISIONS", "Cache", "margin_lse", "margin_lse_and_rank"]


def margin_lse(
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: float | Tensor,
    *,
    classes: Tensor | None = None,
    precision: str | None = None,
    cache: Cache | None = None,
    chunk: int = DEFAULT_CHUNK,
) -> tuple[Tensor, Tensor]:
    """Log-sum-exp of the scaled cosines of all other classes, and the cosine of one's own class.

    With cos_ij the cosine of embedding i and class weight j,

        log_neg_i = log sum_{j != label_i} exp(scale * cos_ij),    cos_target_i = cos_{i, label_i}

    so that a margin loss with target function phi is `softplus(log_neg - scale * phi(cos_target))`,
    and any margin on the own class is ordinary autograd on vectors of N numbers.

    embedding: (N, D) and weight: (C, D), floating point, not normalised; the gradients of both go
    through the normalisation.  label: (N,) integers in [0, C), or -1 for "not among these classes":
    no class is left out of the sum and cos_target is 0.  scale: a finite number of any size, or a
    tensor of one number, which then gets a gradient (not defined at 0).
    classes: (M,) int64, sorted and without repeats: only these rows of `weight` take part (sampled
    classes); a label that is not among them counts as -1, and the gradient of `weight` is a sparse
    tensor of these rows.
    precision: what the operands of the matrix products are rounded to, "fp16", "bf16", "tf32" or
    "ieee" (float32, not rounded); sums are float32 always, and cos_target is never rounded.  Without
    it, "fp16" where a Triton kernel runs and "ieee" elsewhere; where none runs, rounding is imitated.
    cache: bytes for exp(scale * cos) of as many classes as they hold, kept from the forward pass for
    the backward pass, which is then shorter by a matrix product; "auto" takes as many as the gradient
    of `weight` does, or none for "fp16", whose accuracy the rounding of the cache would cost.  Without
    it, none where a Triton kernel runs, and 32 MiB elsewhere.
    chunk: how many classes are worked on at a time where no kernel runs.
    Returns log_neg (N,) and cos_target (N,): float64 if an input is, else float32, whatever autocast says.

    A row of no length (at most 1e-12) has cosine 0 with everything and gradient 0.  NaN gives NaN.
    With one class that is the row's own, log_neg is -inf.  Parts of `weight` add up:
    logaddexp of their log_neg, sum of their cos_target.  The result does not depend on the run: no
    atomics.  Differentiable once.  Triton takes scales from 0 to 1000, plain torch any; a tensor on a
    GPU, which is not looked at, has to lie there.

    Raises ValueError for shapes, types or devices that do not fit, a label outside [-1, C), a scale
    that is not finite.  On a GPU and inside torch.compile the labels' and the scale tensor's values are
    not looked at, for that would wait for the device: there a label of no class makes its row NaN.
    """
    log_neg, cos_target, _ = _call(embedding, weight, label, scale, classes, precision, cache, chunk, ranked=False)
    return log_neg, cos_target


def margin_lse_and_rank(
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: float | Tensor,
    *,
    classes: Tensor | None = None,
    precision: str | None = None,
    cache: Cache | None = None,
    chunk: int = DEFAULT_CHUNK,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `margin_lse`, and from the same pass the rank of the own class among all.

    rank: (N,) of label's type, how many other classes have a higher cosine: 0 is a right answer, below k a right one
    among the first k.  For label -1 it counts the classes of positive cosine, and NaN counts as higher than
    anything.  Classes closer together than the rounding of `precision` may change places.  Needs a positive scale.
    """
    if isinstance(scale, (int, float)) and not scale > 0:
        raise ValueError(f"the rank needs a positive scale, not {scale!r}")
    return _call(embedding, weight, label, scale, classes, precision, cache, chunk, ranked=True)


def _call(
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: float | Tensor,
    classes: Tensor | None,
    precision: str | None,
    cache: Cache | None,
    chunk: int,
    *,
    ranked: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    check_matrices(embedding, weight, label)
    check_settings(embedding, weight, scale, classes, cache, chunk)
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)} or None, not {precision!r}")
    rows, num_classes = embedding.shape[0], (weight if classes is None else classes).shape[0]
    label = label.long() if classes is None else _position(classes, label.long())
    extreme = isinstance(scale, (int, float)) and not 0 < scale <= _LARGEST_SCALE
    triton = rows > 0 and not extreme and use_triton(embedding, weight)
    precision = precision or ("fp16" if triton else "ieee")
    dtype = working_dtype(embedding, weight)
    bounded = _bounded(scale, num_classes, dtype)
    scale = scale if isinstance(scale, Tensor) else torch.full((), float(scale), dtype=dtype, device=embedding.device)
    if cache is None:
        cache = 0 if triton or precision in ("fp16", "bf16") else _CPU_CACHE
    elif cache == "auto" and precision == "fp16":
        cache = 0  # tiles are bf16
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (embedding, weight, scale))
    cached = 0
    if keep and bounded:
        tile_dtype = dtype if dtype == torch.float64 else TILE[precision]
        cached = _cached_classes(cache, embedding, num_classes, tile_dtype, _TILE_STEP if triton else chunk)
    log_neg, cos_target, rank, *_ = op.margin_lse(
        embedding, weight, label, scale, classes, precision, triton, bounded, cached, ranked, keep, chunk
    )
    return log_neg, cos_target, rank


def _bounded(scale: float | Tensor, num_classes: int, dtype: torch.dtype) -> bool:
    if isinstance(scale, Tensor):
        if not readable(scale):
            return False
        scale = scale.item()
    return is_bounded(float(scale), num_classes, dtype)


def _position(classes: Tensor, label: Tensor) -> Tensor:
    """Where in `classes` each label is; -1 where it is not."""
    position = torch.searchsorted(classes, label).clamp(max=classes.shape[0] - 1)
    return torch.where(classes[position] == label, position, -1)


def _cached_classes(cache: Cache, embedding: Tensor, num_classes: int, dtype: torch.dtype, step: int) -> int:
    """How many classes leave their tiles: all, or whole steps."""
    rows, dim = embedding.shape
    num_bytes = 4 * num_classes * dim if cache == "auto" else cache
    fitting = num_bytes // max(rows * dtype.itemsize, 1)
    return num_classes if fitting >= num_classes else fitting // step * step
