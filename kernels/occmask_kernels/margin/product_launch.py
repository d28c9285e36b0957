"""Launches of the kernels around a matrix product, and the tile each of them takes on each architecture."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from .._dispatch import INTERPRET
from .._launch import COMPILE_OPTIONS, num_multiprocessors
from .cosine_kernel import cosine_gradients, cosine_maxima, cosine_sums, tile_gradients
from .weight_gradient_kernel import weight_gradients

NEWEST_FEATURE = (9, 0)  # compute capability of the copy engine ("TMA")


class Blocks(NamedTuple):
    """A tile of a product: its two sides, how much of the sum at a time, and how it is worked on."""

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int


# (copy engine, precision) -> tile.  Chosen by compiling: the largest that spills no register and fits shared memory.
SUMS = {
    (True, "fp16"): Blocks(128, 256, 64, 8, 3),
    (True, "tf32"): Blocks(128, 128, 32, 8, 3),
    (False, "fp16"): Blocks(128, 128, 64, 8, 3),
    (False, "tf32"): Blocks(128, 128, 32, 8, 3),
    (False, "ieee"): Blocks(64, 64, 32, 8, 2),
}
GRADIENTS = SUMS | {(True, "fp16"): Blocks(256, 128, 64, 8, 3)}
FEW_ROWS = 128  # up to here half of the rows of the largest tile would be empty
GRADIENTS_OF_FEW = GRADIENTS | {(True, "fp16"): Blocks(128, 128, 64, 8, 3)}
WEIGHT = {  # rows and columns are those of the gradient, (C, D); depth counts faces
    (True, "fp16"): Blocks(256, 128, 64, 8, 3),
    (True, "tf32"): Blocks(128, 128, 32, 8, 3),
    (False, "fp16"): Blocks(128, 128, 32, 8, 3),
    (False, "tf32"): Blocks(128, 64, 32, 8, 3),
    (False, "ieee"): Blocks(32, 64, 32, 8, 2),
}
ELEMENTWISE = (64, 128)
_INTERPRETED = Blocks(16, 32, 32, 4, 1)  # several tiles in small matrices


def has_copy_engine(tensor: Tensor, precision: str) -> bool:
    """float32 without rounding runs on the ordinary arithmetic units, which are fed by plain loads."""
    return precision != "ieee" and tensor.is_cuda and torch.cuda.get_device_capability(tensor.device) >= NEWEST_FEATURE


def blocks_of(table: dict[tuple[bool, str], Blocks], tma: bool, precision: str) -> Blocks:
    if INTERPRET:
        return _INTERPRETED
    return table[tma, "fp16" if precision == "bf16" else precision]


def dot_precision(precision: str) -> str:
    """How float32 operands are used; 16-bit ones are what they are."""
    return "ieee" if precision == "ieee" else "tf32"


def _read(matrix: Tensor, tma: bool, rows: int, columns: int) -> Any:
    """How a kernel gets at a matrix: a descriptor of blocks, or the tensor itself as a pointer."""
    return TensorDescriptor.from_tensor(matrix, [rows, columns]) if tma else matrix


def _programs(num_tiles: int, tensor: Tensor, tma: bool) -> int:
    """Persistent where tiles are read ahead of time, one program a tile elsewhere."""
    return min(num_tiles, num_multiprocessors(tensor)) if tma else num_tiles


class Product(NamedTuple):
    """The operands of the cosines of N rows with a run of M classes, of which `first` is the label of the first."""

    unit: Tensor  # (N, width)
    class_unit: Tensor  # (M, width)
    label: Tensor  # (N,) int64
    scale: Tensor  # () float32
    first: int
    precision: str
    tma: bool

    @property
    def num_rows(self) -> int:
        return self.unit.shape[0]

    @property
    def num_classes(self) -> int:
        return self.class_unit.shape[0]

    def grid(self, blocks: Blocks) -> tuple[int, int]:
        return triton.cdiv(self.num_rows, blocks.rows), triton.cdiv(self.num_classes, blocks.columns)

    def programs(self, blocks: Blocks) -> tuple[int]:
        rows, columns = self.grid(blocks)
        return (_programs(rows * columns, self.unit, self.tma),)

    def arguments(self, blocks: Blocks) -> dict[str, Any]:
        return {
            "unit": _read(self.unit, self.tma, blocks.rows, blocks.depth),
            "class_unit": _read(self.class_unit, self.tma, blocks.columns, blocks.depth),
            "label_ptr": self.label,
            "scale_ptr": self.scale,
            "num_rows": self.num_rows,
            "num_classes": self.num_classes,
            "first": self.first,
            "WIDTH": self.unit.shape[1],
            "TMA": self.tma,
            "PRECISION": dot_precision(self.precision),
            "BLOCK_N": blocks.rows,
            "BLOCK_C": blocks.columns,
            "BLOCK_D": blocks.depth,
            "num_warps": blocks.warps,
            "num_stages": blocks.stages,
            **COMPILE_OPTIONS,
        }


def launch_sums(
    product: Product, offset: Tensor, cosine: Tensor, tiles: Tensor, *, ranked: bool
) -> tuple[Tensor, Tensor]:
    """(N,) sums of exp2(logit - offset) over the other classes, and (N,) int64 ranks, or none.

    `tiles`: (N, M) to be filled with the exponentials, or empty.
    """
    blocks = blocks_of(SUMS, product.tma, product.precision)
    class_blocks = product.grid(blocks)[1]
    sums = torch.empty(class_blocks, product.num_rows, dtype=torch.float32, device=offset.device)
    rank = torch.empty(class_blocks if ranked else 0, product.num_rows, dtype=torch.int32, device=offset.device)
    arguments = product.arguments(blocks)
    stored = tiles.numel() > 0
    cosine_sums[product.programs(blocks)](
        offset_ptr=offset, cosine_ptr=cosine, sums_ptr=sums, rank_ptr=rank,
        tiles=_read(tiles, product.tma and stored, blocks.rows, blocks.columns),
        RANK=ranked, TILES=stored, tile_stride=tiles.stride(0), **arguments,
    )  # fmt: skip
    return sums.sum(dim=0), rank.sum(dim=0) if ranked else rank[0:0, 0]


def launch_maxima(product: Product) -> Tensor:
    """(N,) the largest logit of the other classes, in units of log2."""
    blocks = blocks_of(SUMS, product.tma, product.precision)
    shape = (product.grid(blocks)[1], product.num_rows)
    maxima = torch.empty(shape, dtype=torch.float32, device=product.unit.device)
    arguments = product.arguments(blocks)
    cosine_maxima[product.programs(blocks)](maxima_ptr=maxima, **arguments)
    return maxima.amax(dim=0)


def launch_gradients(product: Product, offset: Tensor, target: Tensor, row: Tensor, p: Tensor) -> Tensor:
    """Fills `p` (N, M) and returns (row blocks, M): the gradient of each class along itself, by blocks of rows."""
    table = GRADIENTS if product.num_rows > FEW_ROWS else GRADIENTS_OF_FEW
    blocks = blocks_of(table, product.tma, product.precision)
    shape = (product.grid(blocks)[0], product.num_classes)
    along = torch.empty(shape, dtype=torch.float32, device=offset.device)
    arguments = product.arguments(blocks)
    cosine_gradients[product.programs(blocks)](
        offset_ptr=offset, target_ptr=target, row_ptr=row, along_ptr=along, p_stride=p.stride(0),
        p=_read(p, product.tma, blocks.rows, blocks.columns // 2), **arguments,
    )  # fmt: skip
    return along


def launch_tile_gradients(
    tiles: Tensor, product: Product, offset: Tensor, target: Tensor, cosine: Tensor, row: Tensor, p: Tensor
) -> Tensor:
    """As `launch_gradients`, from `tiles` (N, M)."""
    block_rows, block_classes = (16, 32) if INTERPRET else ELEMENTWISE
    num_rows, num_classes = tiles.shape
    grid = triton.cdiv(num_classes, block_classes), triton.cdiv(num_rows, block_rows)
    along = torch.empty(grid[1], num_classes, dtype=torch.float32, device=offset.device)
    tile_gradients[grid](
        tiles, product.label, product.scale, offset, target, cosine, row, p, along, num_rows, num_classes,
        product.first, tiles.stride(0), p.stride(0),
        BLOCK_N=block_rows, BLOCK_C=block_classes, num_warps=4, **COMPILE_OPTIONS,
    )  # fmt: skip
    return along


def launch_weight_gradients(
    p: Tensor, weighted: Tensor, size: Tensor, along: Tensor, product: Product, inverse: Tensor, grad: Tensor
) -> None:
    """Fills `grad` (M, D), the gradient of the class weights that `product.class_unit` came from."""
    blocks = blocks_of(WEIGHT, product.tma, product.precision)
    num_tiles = triton.cdiv(product.num_classes, blocks.rows) * (weighted.shape[1] // blocks.columns)
    programs = _programs(num_tiles, p, product.tma)
    weight_gradients[(programs,)](
        _read(p, product.tma, blocks.depth, blocks.rows), _read(weighted, product.tma, blocks.depth, blocks.columns),
        size, along, product.class_unit, inverse, grad,
        product.num_rows, product.num_classes, along.shape[0], p.stride(0), grad.shape[1], WIDTH=weighted.shape[1],
        TMA=product.tma, PRECISION=dot_precision(product.precision),
        BLOCK_C=blocks.rows, BLOCK_W=blocks.columns, BLOCK_N=blocks.depth,
        num_warps=blocks.warps, num_stages=blocks.stages, **COMPILE_OPTIONS,
    )  # fmt: skip
