"""Kernels around one matrix product: tiles of scaled cosines, reduced or turned into gradients before they are stored.

A tile is computed, used and forgotten; which memory it was read from (a tensor descriptor of Hopper's copy engine, or
plain pointers) is the one difference between architectures.  Logits are in units of log2 throughout.
"""

from __future__ import annotations

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def _cosine_tile(
    unit, class_unit, index, num_rows, num_classes,
    WIDTH: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
    TMA: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """First row and class of the tile of that index, and its (BLOCK_N, BLOCK_C) float32 cosines.

    Rows go fastest: all row blocks read a tile of class units one after the other, from the cache.  What lies outside
    is 0 (copy engine) or a repeated row (pointers).
    """
    row_blocks = tl.cdiv(num_rows, BLOCK_N)
    first_row = (index % row_blocks) * BLOCK_N
    first_class = (index // row_blocks) * BLOCK_C
    tile = tl.zeros((BLOCK_N, BLOCK_C), tl.float32)
    if TMA:
        for d in range(0, WIDTH, BLOCK_D):
            e = unit.load([first_row, d])
            w = class_unit.load([first_class, d])
            tile = tl.dot(e, w.T, tile, input_precision=PRECISION)
    else:
        row = first_row + tl.arange(0, BLOCK_N)
        own = first_class + tl.arange(0, BLOCK_C)
        column = tl.arange(0, BLOCK_D)
        e_ptr = unit + tl.where(row < num_rows, row, 0).to(tl.int64)[:, None] * WIDTH + column[None, :]
        w_ptr = class_unit + tl.where(own < num_classes, own, 0).to(tl.int64)[None, :] * WIDTH + column[:, None]
        for _ in range(0, WIDTH, BLOCK_D):
            tile = tl.dot(tl.load(e_ptr), tl.load(w_ptr), tile, input_precision=PRECISION)
            e_ptr += BLOCK_D
            w_ptr += BLOCK_D
    return first_row, first_class, tile


@triton.jit
def _own_column(label_ptr, row, first_class, num_rows):
    """Column of each row's own class in the tile that begins at class `first_class`; may lie outside."""
    return (tl.load(label_ptr + row, mask=row < num_rows, other=-1) - first_class).to(tl.int32)


@triton.jit
def cosine_sums(
    unit, class_unit, label_ptr, scale_ptr, offset_ptr, cosine_ptr, sums_ptr, rank_ptr, tiles,
    num_rows, num_classes, first, tile_stride, WIDTH: tl.constexpr,
    RANK: tl.constexpr, TILES: tl.constexpr, TMA: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """sums[tile, n] = sum over the tile's classes, the own one left out, of exp2(scale log2(e) cos - offset[n]).

    RANK: rank[tile, n] = how many of them have a higher cosine than cosine[n].  TILES: the exponentials are stored.
    `first` is the label of the first class here.
    """
    alpha = tl.load(scale_ptr).to(tl.float32) * LOG2E
    row_blocks = tl.cdiv(num_rows, BLOCK_N)
    total = row_blocks * tl.cdiv(num_classes, BLOCK_C)
    for index in tl.range(tl.program_id(0), total, tl.num_programs(0), flatten=TMA):
        first_row, first_class, tile = _cosine_tile(
            unit, class_unit, index, num_rows, num_classes, WIDTH, BLOCK_N, BLOCK_C, BLOCK_D, TMA, PRECISION
        )
        row = first_row + tl.arange(0, BLOCK_N)
        own = _own_column(label_ptr, row, first + first_class, num_rows)
        # Few tiles hold a row's own class or the last class: the others pay nothing for masking
        if (tl.max(((own >= 0) & (own < BLOCK_C)).to(tl.int32), 0) > 0) | (first_class + BLOCK_C > num_classes):
            column = tl.arange(0, BLOCK_C)
            out = (own[:, None] == column[None, :]) | (column >= num_classes - first_class)[None, :]
            tile = tl.where(out, float("-inf"), tile)
        place = (index // row_blocks).to(tl.int64) * num_rows + row
        if RANK:
            cosine = tl.load(cosine_ptr + row, mask=row < num_rows, other=2.0)
            # not "higher than": a NaN must not make a face right.  -inf is what was masked out above
            higher = tl.sum(((tile <= cosine[:, None]) | (tile == float("-inf"))).to(tl.int32), 1)
            higher = BLOCK_C - higher
            tl.store(rank_ptr + place, higher, mask=row < num_rows)
        offset = tl.load(offset_ptr + row, mask=row < num_rows, other=0.0)
        tile = tl.exp2(tile * alpha - offset[:, None])
        tl.store(sums_ptr + place, tl.sum(tile, 1), mask=row < num_rows)
        if TILES:
            if TMA:
                tiles.store([first_row, first_class], tile.to(tiles.dtype))
            else:
                column = first_class + tl.arange(0, BLOCK_C)
                inside = (row < num_rows)[:, None] & (column < num_classes)[None, :]
                at = row.to(tl.int64)[:, None] * tile_stride + column[None, :]
                tl.store(tiles + at, tile.to(tiles.dtype.element_ty), mask=inside)


@triton.jit
def cosine_maxima(
    unit, class_unit, label_ptr, scale_ptr, maxima_ptr, num_rows, num_classes, first, WIDTH: tl.constexpr,
    TMA: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """maxima[tile, n] = the largest scale log2(e) cos of the tile's classes, the own one left out (-inf: none)."""
    alpha = tl.load(scale_ptr).to(tl.float32) * LOG2E
    row_blocks = tl.cdiv(num_rows, BLOCK_N)
    total = row_blocks * tl.cdiv(num_classes, BLOCK_C)
    for index in tl.range(tl.program_id(0), total, tl.num_programs(0), flatten=TMA):
        first_row, first_class, tile = _cosine_tile(
            unit, class_unit, index, num_rows, num_classes, WIDTH, BLOCK_N, BLOCK_C, BLOCK_D, TMA, PRECISION
        )
        row = first_row + tl.arange(0, BLOCK_N)
        own = _own_column(label_ptr, row, first + first_class, num_rows)
        column = tl.arange(0, BLOCK_C)
        out = (own[:, None] == column[None, :]) | (column >= num_classes - first_class)[None, :]
        largest = tl.max(tl.where(out, float("-inf"), tile * alpha), 1)
        place = (index // row_blocks).to(tl.int64) * num_rows + row
        tl.store(maxima_ptr + place, largest, mask=row < num_rows)


@triton.jit
def _store_gradients(
    tile, own, alpha, offset_ptr, target_ptr, row_ptr, p, along_ptr, row, first_row, first_class, row_block,
    num_rows, num_classes, p_stride, TMA: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    offset = tl.load(offset_ptr + row, mask=row < num_rows, other=float("inf"))  # no such row: p is 0
    weight = tl.load(row_ptr + row, mask=row < num_rows, other=0.0)
    column = tl.arange(0, COLUMNS)
    own = (own - first_class).to(tl.int32)
    gradient = tl.exp2(tile * alpha - offset[:, None])
    if tl.max(((own >= 0) & (own < COLUMNS)).to(tl.int32), 0) > 0:
        target = tl.load(target_ptr + row, mask=row < num_rows, other=0.0)
        gradient = tl.where(own[:, None] == column[None, :], target[:, None], gradient)
    rounded = gradient.to(p.dtype if TMA else p.dtype.element_ty)
    along = tl.sum(rounded.to(tl.float32) * tile * weight[:, None], 0)
    place = row_block.to(tl.int64) * num_classes + first_class + column
    tl.store(along_ptr + place, along, mask=first_class + column < num_classes)
    if TMA:
        p.store([first_row, first_class], rounded)
    else:
        at = row.to(tl.int64)[:, None] * p_stride + first_class + column[None, :]
        inside = (row < num_rows)[:, None] & (first_class + column < num_classes)[None, :]
        tl.store(p + at, rounded, mask=inside)


@triton.jit
def cosine_gradients(
    unit, class_unit, label_ptr, scale_ptr, offset_ptr, target_ptr, row_ptr, p, along_ptr,
    num_rows, num_classes, first, p_stride, WIDTH: tl.constexpr,
    TMA: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """p[n, c] = exp2(scale log2(e) cos - offset[n]), and target[n] for the own class: d loss / d cos is row[n] p[n, c].

    along[row block, c] = sum over the block's rows of row p cos: what the gradient of class c has along the class
    itself, which normalisation takes out.  Computed from the rounded p, so that just that is taken out.
    """
    alpha = tl.load(scale_ptr).to(tl.float32) * LOG2E
    row_blocks = tl.cdiv(num_rows, BLOCK_N)
    total = row_blocks * tl.cdiv(num_classes, BLOCK_C)
    for index in tl.range(tl.program_id(0), total, tl.num_programs(0), flatten=False):
        first_row, first_class, tile = _cosine_tile(
            unit, class_unit, index, num_rows, num_classes, WIDTH, BLOCK_N, BLOCK_C, BLOCK_D, TMA, PRECISION
        )
        row = first_row + tl.arange(0, BLOCK_N)
        own = tl.load(label_ptr + row, mask=row < num_rows, other=-1) - first
        # In two halves: a whole tile, its gradient and its share along the classes do not fit the registers
        halves = tl.permute(tl.reshape(tile, (BLOCK_N, 2, BLOCK_C // 2)), (0, 2, 1))
        left, right = tl.split(halves)
        _store_gradients(
            left, own, alpha, offset_ptr, target_ptr, row_ptr, p, along_ptr, row, first_row, first_class,
            index % row_blocks, num_rows, num_classes, p_stride, TMA, BLOCK_C // 2,
        )  # fmt: skip
        _store_gradients(
            right, own, alpha, offset_ptr, target_ptr, row_ptr, p, along_ptr, row, first_row,
            first_class + BLOCK_C // 2, index % row_blocks, num_rows, num_classes, p_stride, TMA, BLOCK_C // 2,
        )  # fmt: skip


@triton.jit
def tile_gradients(
    tiles_ptr, label_ptr, scale_ptr, offset_ptr, target_ptr, cosine_ptr, row_ptr, p_ptr, along_ptr,
    num_rows, num_classes, first, tile_stride, p_stride, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """As `cosine_gradients`, from stored exponentials instead of a product; their logarithm gives the cosine back."""
    alpha = tl.load(scale_ptr).to(tl.float32) * LOG2E
    row = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    column = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = (row < num_rows)[:, None] & (column < num_classes)[None, :]
    wide = row.to(tl.int64)[:, None]
    tile = tl.load(tiles_ptr + wide * tile_stride + column[None, :], mask=inside, other=0.0).to(tl.float32)
    offset = tl.load(offset_ptr + row, mask=row < num_rows, other=float("inf"))
    weight = tl.load(row_ptr + row, mask=row < num_rows, other=0.0)
    target = tl.load(target_ptr + row, mask=row < num_rows, other=0.0)
    own_cosine = tl.load(cosine_ptr + row, mask=row < num_rows, other=0.0)
    is_own = _own_column(label_ptr, row, first, num_rows)[:, None] == column[None, :]
    cosine = tl.where(is_own, own_cosine[:, None], tl.where(tile > 0.0, tl.log2(tile) / alpha, 0.0))
    gradient = tl.where(is_own, target[:, None], tile * tl.exp2(-offset)[:, None])
    rounded = gradient.to(p_ptr.dtype.element_ty)
    along = tl.sum(rounded.to(tl.float32) * cosine * weight[:, None], 0)
    place = tl.program_id(1).to(tl.int64) * num_classes + column
    tl.store(along_ptr + place, along, mask=column < num_classes)
    tl.store(p_ptr + wide * p_stride + column[None, :], rounded, mask=inside)
