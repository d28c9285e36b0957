"""The gradient of the class weights: a matrix product over the rows, with the normalisation's backward at its end."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _store(
    product, size, along, inverse, class_unit_ptr, grad_ptr, own, column, num_classes, dim, WIDTH: tl.constexpr
):  # fmt: skip
    wide = own.to(tl.int64)[:, None]
    known = (own < num_classes)[:, None]
    unit = tl.load(class_unit_ptr + wide * WIDTH + column[None, :], mask=known, other=0.0).to(tl.float32)
    grad = inverse[:, None] * (product * size - along[:, None] * unit)
    valid = known & (column < dim)[None, :]
    tl.store(grad_ptr + wide * dim + column[None, :], grad.to(grad_ptr.dtype.element_ty), mask=valid)


@triton.jit
def weight_gradients(
    p, weighted, size_ptr, along_ptr, class_unit_ptr, inverse_ptr, grad_ptr,
    num_rows, num_classes, row_blocks, p_stride, dim, WIDTH: tl.constexpr,
    TMA: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_W: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """grad[c] = (size * sum_n p[n, c] weighted[n] - along[c] unit[c]) / length of class c.

    `along` (row blocks, C) is summed here in a fixed order, so no program needs a whole row of the product.
    """
    size = tl.load(size_ptr)
    blocks: tl.constexpr = WIDTH // BLOCK_W
    for index in tl.range(tl.program_id(0), blocks * tl.cdiv(num_classes, BLOCK_C), tl.num_programs(0), flatten=False):
        first_class = (index // blocks) * BLOCK_C
        first_column = (index % blocks) * BLOCK_W
        own = first_class + tl.arange(0, BLOCK_C)
        column = first_column + tl.arange(0, BLOCK_W)
        known = own < num_classes
        product = tl.zeros((BLOCK_C, BLOCK_W), tl.float32)
        if TMA:
            for n in range(0, num_rows, BLOCK_N):
                g = p.load([n, first_class])
                x = weighted.load([n, first_column])
                product = tl.dot(g.T, x, product, input_precision=PRECISION)
        else:
            for n in range(0, num_rows, BLOCK_N):
                row = n + tl.arange(0, BLOCK_N)
                g_ptr = p + row.to(tl.int64)[None, :] * p_stride + own[:, None]
                g = tl.load(g_ptr, mask=known[:, None] & (row < num_rows)[None, :], other=0.0)
                x_ptr = weighted + row.to(tl.int64)[:, None] * WIDTH + column[None, :]
                x = tl.load(x_ptr, mask=(row < num_rows)[:, None], other=0.0)
                product = tl.dot(g, x, product, input_precision=PRECISION)
        along = tl.zeros((BLOCK_C,), tl.float32)
        for block in range(row_blocks):
            along += tl.load(along_ptr + block * num_classes + own, mask=known, other=0.0)
        inverse = tl.load(inverse_ptr + own, mask=known, other=0.0)
        # In two halves: a whole tile beside what it is combined with does not fit the registers
        left, right = tl.split(tl.permute(tl.reshape(product, (BLOCK_C, 2, BLOCK_W // 2)), (0, 2, 1)))
        half = first_column + tl.arange(0, BLOCK_W // 2)
        _store(left, size, along, inverse, class_unit_ptr, grad_ptr, own, half, num_classes, dim, WIDTH)
        _store(right, size, along, inverse, class_unit_ptr, grad_ptr, own, half + BLOCK_W // 2, num_classes, dim, WIDTH)
