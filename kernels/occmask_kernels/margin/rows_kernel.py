"""Kernels that work on rows: normalise them, the cosine of each with its own class, and the way back."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _inverse_length(squares, EPS: tl.constexpr):
    length = tl.sqrt(squares)
    return tl.where(length <= EPS, 0.0, 1.0 / length)  # a comparison that keeps NaN


@triton.jit
def normalise_rows(
    rows_ptr, index_ptr, unit_ptr, inverse_ptr, num_rows, dim, row_stride,
    WIDTH: tl.constexpr, EPS: tl.constexpr, GATHER: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """unit[r] = rows[index[r]] / length, rounded to unit's type and padded with zeros from `dim` to WIDTH columns."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    inside = row < num_rows
    source = tl.load(index_ptr + row, mask=inside, other=0).to(tl.int64) if GATHER else row
    valid = inside[:, None] & (column < dim)[None, :]
    x = tl.load(rows_ptr + source[:, None] * row_stride + column[None, :], mask=valid, other=0.0).to(tl.float32)
    inverse = _inverse_length(tl.sum(x * x, 1), EPS)
    unit = (x * inverse[:, None]).to(unit_ptr.dtype.element_ty)
    whole = inside[:, None] & (column < WIDTH)[None, :]
    tl.store(unit_ptr + row[:, None] * WIDTH + column[None, :], unit, mask=whole)
    tl.store(inverse_ptr + row, inverse, mask=inside)


@triton.jit
def weigh_rows(
    unit_ptr, row_ptr, size_ptr, weighted_ptr, num_rows, WIDTH: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """weighted[r] = unit[r] * row[r] / size, rounded."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    inside = row < num_rows
    whole = inside[:, None] & (column < WIDTH)[None, :]
    place = row[:, None] * WIDTH + column[None, :]
    factor = tl.load(row_ptr + row, mask=inside, other=0.0) / tl.load(size_ptr)
    unit = tl.load(unit_ptr + place, mask=whole, other=0.0).to(tl.float32)
    tl.store(weighted_ptr + place, (unit * factor[:, None]).to(weighted_ptr.dtype.element_ty), mask=whole)


@triton.jit
def target_cosines(
    embedding_ptr, weight_ptr, label_ptr, index_ptr, cosine_ptr, num_rows, num_classes, dim,
    embedding_stride, weight_stride,
    EPS: tl.constexpr, GATHER: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Cosine with the own class, from unrounded rows; 0 for label -1, NaN for a label of no class."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    inside = row < num_rows
    label = tl.load(label_ptr + row, mask=inside, other=-1).to(tl.int64)
    known = (label >= 0) & (label < num_classes)
    own = tl.where(known, label, 0)
    if GATHER:
        own = tl.load(index_ptr + own).to(tl.int64)
    valid = (inside & known)[:, None] & (column < dim)[None, :]
    e = tl.load(embedding_ptr + row[:, None] * embedding_stride + column[None, :], mask=valid, other=0.0).to(tl.float32)
    w = tl.load(weight_ptr + own[:, None] * weight_stride + column[None, :], mask=valid, other=0.0).to(tl.float32)
    cosine = tl.sum(e * w, 1) * _inverse_length(tl.sum(e * e, 1), EPS) * _inverse_length(tl.sum(w * w, 1), EPS)
    cosine = tl.where((label == -1) | known, cosine, float("nan"))
    tl.store(cosine_ptr + row, cosine, mask=inside)


@triton.jit
def normalise_rows_backward(
    grad_unit_ptr, row_ptr, rows_ptr, grad_ptr, cosine_ptr, num_rows, dim, row_stride, grad_unit_stride,
    EPS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """grad = (g - (g . u) u) / length with g = row * grad_unit and u the unrounded unit row; g . u goes to `cosine`."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    inside = row < num_rows
    valid = inside[:, None] & (column < dim)[None, :]
    x = tl.load(rows_ptr + row[:, None] * row_stride + column[None, :], mask=valid, other=0.0).to(tl.float32)
    g = tl.load(grad_unit_ptr + row[:, None] * grad_unit_stride + column[None, :], mask=valid, other=0.0)
    g = g * tl.load(row_ptr + row, mask=inside, other=0.0)[:, None]
    inverse = _inverse_length(tl.sum(x * x, 1), EPS)
    unit = x * inverse[:, None]
    along = tl.sum(g * unit, 1)
    grad = (g - along[:, None] * unit) * inverse[:, None]
    tl.store(grad_ptr + row[:, None] * dim + column[None, :], grad.to(grad_ptr.dtype.element_ty), mask=valid)
    tl.store(cosine_ptr + row, along, mask=inside)
