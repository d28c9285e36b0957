"""`margin_lse` on the Triton kernels: what is launched, in which order, and what is kept.

Forward: unit rows, the exact target cosine, then one product whose tiles leave nothing but row sums.  Backward, a chunk
of classes at a time: the gradient of the cosines (computed again, or from a kept tile), which two products use while it
is still in the cache: that of the embedding by the BLAS library, that of the weights with the normalisation's backward
at its end.  Source: docs/kernels.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .._launch import on_device
from .precision import LOG_GAIN, OPERAND, ROW_GAIN, TILE, aligned_width, padded_width
from .product_launch import (
    Product,
    has_copy_engine,
    launch_gradients,
    launch_maxima,
    launch_sums,
    launch_tile_gradients,
    launch_weight_gradients,
)
from .reference import products, split_gradient, weigh
from .rows_launch import launch_normalise, launch_normalise_backward, launch_target_cosines, launch_weigh

CHUNK_BYTES = 32 * 2**20  # of the gradient of the cosines: what an H100's second-level cache holds beside the operands
CLASS_MULTIPLE = 256  # of a chunk: whole tiles


def forward(
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: Tensor,
    classes: Tensor | None,
    *,
    precision: str,
    bounded: bool,
    cached: int,
    ranked: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, list[Tensor], Tensor, Tensor]:
    """See `op.margin_lse`. `keep`: the unit rows of the classes are kept for the backward pass."""
    rows, dim = embedding.shape
    num_classes = (weight if classes is None else classes).shape[0]
    width, dtype = padded_width(dim), OPERAND[precision]
    scale = scale.float()
    with on_device(embedding):
        unit, _ = launch_normalise(embedding, None, width, dtype)
        cos_target = launch_target_cosines(embedding, weight, label, classes)
        tiles = torch.empty(rows, aligned_width(cached), dtype=TILE[precision], device=embedding.device)
        tiles[:, cached:] = 0  # nothing, or what fills up a row of memory
        whole = launch_normalise(weight, classes, width, dtype) if keep else None
        offset = torch.zeros_like(cos_target) if bounded else torch.full_like(cos_target, -torch.inf)

        def runs() -> Iterator[Product]:
            """All classes, in runs that end with the cache and, where nothing is kept, after each chunk."""
            for start, stop in _runs(num_classes, cached, num_classes if keep else _chunk(width, dtype)):
                if whole is not None:
                    units = whole[0][start:stop]
                elif classes is None:
                    units, _ = launch_normalise(weight[start:stop], None, width, dtype)
                else:
                    units, _ = launch_normalise(weight, classes[start:stop], width, dtype)
                yield Product(unit, units, label, scale, start, precision, has_copy_engine(unit, precision))

        if not bounded:
            for product in runs():
                offset = torch.maximum(offset, launch_maxima(product))
            # No other class: the sum is 0 whatever is subtracted
            offset = offset.masked_fill(offset == -torch.inf, 0.0)
        total, rank = torch.zeros_like(cos_target), label.new_zeros(rows if ranked else 0)
        for product in runs():
            run_tiles = tiles[:, product.first : product.first + product.num_classes]
            sums, ranks = launch_sums(product, offset, cos_target, run_tiles, ranked=ranked)
            total += sums
            if ranked:
                rank += ranks
        log_neg = total.log() + offset * math.log(2)
        log_neg = torch.where(cos_target.isnan(), cos_target, log_neg)  # a label of no class spoils its row visibly
    nothing = embedding.new_empty(0, dtype=torch.float32)
    return (log_neg, cos_target, rank, [tiles] if cached else [], *(whole or (nothing, nothing.clone())))


def backward(
    grad_log_neg: Tensor,
    grad_cos_target: Tensor,
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: Tensor,
    classes: Tensor | None,
    log_neg: Tensor,
    cos_target: Tensor,
    tiles: list[Tensor],
    unit_weight: Tensor,
    inverse_length: Tensor,
    *,
    precision: str,
    wants_weight: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `op.margin_lse_backward`."""
    rows, dim = embedding.shape
    num_classes, width = unit_weight.shape
    dtype = OPERAND[precision]
    scale32 = scale.float()
    with on_device(embedding):
        unit, _ = launch_normalise(embedding, None, width, dtype)
        split = split_gradient(grad_log_neg, grad_cos_target, scale32, log_neg, LOG_GAIN[precision])
        offset = split.offset / math.log(2)
        size = weigh(split.row, ROW_GAIN[precision])
        weighted = launch_weigh(unit, split.row, size)
        grad_unit = torch.zeros(rows, width, dtype=torch.float32, device=unit.device)
        grad_weight = weight.new_empty(num_classes if wants_weight else 0, dim)
        chunk = _chunk(rows, dtype)
        cached = min(tiles[0].shape[1], num_classes) if tiles else 0
        buffer = torch.empty(rows, min(chunk, padded_width(num_classes)), dtype=dtype, device=unit.device)
        for start, stop in _runs(num_classes, cached, chunk):
            units, p = unit_weight[start:stop], buffer[:, : stop - start]
            product = Product(unit, units, label, scale32, start, precision, has_copy_engine(unit, precision))
            if stop <= cached:
                run_tiles = tiles[0][:, start:stop]
                along = launch_tile_gradients(run_tiles, product, offset, split.target, cos_target, split.row, p)
            else:
                along = launch_gradients(product, offset, split.target, split.row, p)
            grad_unit += _product(p, units, precision)
            if wants_weight:
                inverse, grad = inverse_length[start:stop], grad_weight[start:stop]
                launch_weight_gradients(p, weighted, size, along, product, inverse, grad)
        grad_embedding, cosines = launch_normalise_backward(grad_unit, split.row, embedding)
        grad_scale = (cosines - grad_cos_target * cos_target).sum() / scale32
    return grad_embedding, grad_weight, grad_scale.to(scale.dtype)


def _chunk(columns: int, dtype: torch.dtype) -> int:
    """How many classes fill a chunk with so many numbers a class."""
    classes = CHUNK_BYTES // (columns * dtype.itemsize)
    return max(classes // CLASS_MULTIPLE, 1) * CLASS_MULTIPLE


def _runs(num_classes: int, cached: int, longest: int) -> Iterator[tuple[int, int]]:
    """Runs of at most `longest` classes, none of which crosses the end of the cache."""
    start = 0
    while start < num_classes:
        end = cached if start < cached else num_classes
        stop = min(start + longest, end, num_classes)
        yield start, stop
        start = stop


def _product(p: Tensor, units: Tensor, precision: str) -> Tensor:
    """p (N, n) @ units (n, width) in float32, from operands as they are."""
    with products(precision):
        if p.is_cuda and p.dtype != torch.float32:
            return torch.mm(p, units, out_dtype=torch.float32)
        return p.float() @ units.float()
