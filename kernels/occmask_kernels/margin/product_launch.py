"""Launches of the kernels around a matrix product, and the tile each of them takes on each architecture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from .._dispatch import INTERPRET
from .._launch import COMPILE_OPTIONS, AotCase, num_multiprocessors
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
    (False, "ieee"): Blocks(64, 128, 32, 8, 2),
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


def _blocks(table: dict[tuple[bool, str], Blocks], tma: bool, precision: str) -> Blocks:
    if INTERPRET:
        return _INTERPRETED
    return table[tma, "fp16" if precision == "bf16" else precision]


def _dot_precision(precision: str) -> str:
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
            "PRECISION": _dot_precision(self.precision),
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
    blocks = _blocks(SUMS, product.tma, product.precision)
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
    blocks = _blocks(SUMS, product.tma, product.precision)
    shape = (product.grid(blocks)[1], product.num_rows)
    maxima = torch.empty(shape, dtype=torch.float32, device=product.unit.device)
    arguments = product.arguments(blocks)
    cosine_maxima[product.programs(blocks)](maxima_ptr=maxima, **arguments)
    return maxima.amax(dim=0)


def launch_gradients(product: Product, offset: Tensor, target: Tensor, row: Tensor, p: Tensor) -> Tensor:
    """Fills `p` (N, M) and returns (row blocks, M): the gradient of each class along itself, by blocks of rows."""
    table = GRADIENTS if product.num_rows > FEW_ROWS else GRADIENTS_OF_FEW
    blocks = _blocks(table, product.tma, product.precision)
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
    blocks = _blocks(WEIGHT, product.tma, product.precision)
    num_tiles = triton.cdiv(product.num_classes, blocks.rows) * (weighted.shape[1] // blocks.columns)
    programs = _programs(num_tiles, p, product.tma)
    weight_gradients[(programs,)](
        _read(p, product.tma, blocks.depth, blocks.rows), _read(weighted, product.tma, blocks.depth, blocks.columns),
        size, along, product.class_unit, inverse, grad,
        product.num_rows, product.num_classes, along.shape[0], p.stride(0), grad.shape[1], WIDTH=weighted.shape[1],
        TMA=product.tma, PRECISION=_dot_precision(product.precision),
        BLOCK_C=blocks.rows, BLOCK_W=blocks.columns, BLOCK_N=blocks.depth,
        num_warps=blocks.warps, num_stages=blocks.stages, **COMPILE_OPTIONS,
    )  # fmt: skip


def aot_cases() -> Iterator[AotCase]:
    for tma, precision in (
        (True, "fp16"),
        (True, "bf16"),
        (True, "tf32"),
        (False, "fp16"),
        (False, "tf32"),
        (False, "ieee"),
    ):
        for ranked, stored in ((False, False), (True, False), (False, True)):
            if stored or (ranked and precision != "fp16"):
                continue
            label = " ".join(["tma" if tma else "pointers", precision, *["rank"] * ranked, *["tiles"] * stored])
            yield _cosine_case(cosine_sums, SUMS, tma, precision, label, RANK=ranked, TILES=stored)
        yield _cosine_case(cosine_gradients, GRADIENTS, tma, precision, f"{'tma' if tma else 'pointers'} {precision}")
        yield _weight_case(tma, precision)
    yield _cosine_case(cosine_sums, SUMS, True, "bf16", "tma bf16 tiles", RANK=False, TILES=True)
    yield _cosine_case(cosine_sums, SUMS, False, "bf16", "pointers bf16 tiles", RANK=False, TILES=True)
    yield _cosine_case(cosine_gradients, GRADIENTS_OF_FEW, True, "fp16", "tma fp16 few rows")
    yield _cosine_case(cosine_maxima, SUMS, True, "fp16", "tma fp16")
    yield _cosine_case(cosine_maxima, SUMS, False, "fp16", "pointers fp16")
    pointers = {
        **dict.fromkeys(tile_gradients.arg_names, "*fp32"),
        "tiles_ptr": "*bf16",
        "p_ptr": "*bf16",
        **_COUNTS,
        "num_classes": "i32/16",
    }
    yield AotCase(tile_gradients, "bf16", pointers, {"BLOCK_N": ELEMENTWISE[0], "BLOCK_C": ELEMENTWISE[1]})


_COUNTS = {
    "label_ptr": "*i64", "num_rows": "i32", "num_classes": "i32", "first": "i32", "row_blocks": "i32",
    "dim": "i32/16", "p_stride": "i32/16", "tile_stride": "i32/16",
}  # fmt: skip


def _matrix(tma: bool, precision: str, rows: int, columns: int) -> str:
    dtype = precision if precision in ("fp16", "bf16") else "fp32"
    return f"tensordesc<{dtype}[{rows},{columns}]>" if tma else f"*{dtype}"


def _cosine_case(
    kernel: Any, table: dict[tuple[bool, str], Blocks], tma: bool, precision: str, label: str, **constants: bool
) -> AotCase:
    blocks = _blocks(table, tma, precision)
    dtype = precision if precision in ("fp16", "bf16") else "fp32"
    signature = {**dict.fromkeys(kernel.arg_names, "*fp32"), **_COUNTS, "rank_ptr": "*i32"}
    signature["unit"] = _matrix(tma, precision, blocks.rows, blocks.depth)
    signature["class_unit"] = _matrix(tma, precision, blocks.columns, blocks.depth)
    signature["p"] = _matrix(tma, precision, blocks.rows, blocks.columns // 2)
    signature["tiles"] = _matrix(tma, precision, blocks.rows, blocks.columns) if constants.get("TILES") else f"*{dtype}"
    shape = {"BLOCK_N": blocks.rows, "BLOCK_C": blocks.columns, "BLOCK_D": blocks.depth}
    product = {"WIDTH": 512, "TMA": tma, "PRECISION": _dot_precision(precision)}
    return AotCase(
        kernel,
        dtype,
        signature,
        product | shape | constants,
        blocks.warps,
        blocks.stages,
        (90,) if tma else (80, 90),
        label,
    )


def _weight_case(tma: bool, precision: str) -> AotCase:
    blocks = _blocks(WEIGHT, tma, precision)
    dtype = precision if precision in ("fp16", "bf16") else "fp32"
    signature = {**dict.fromkeys(weight_gradients.arg_names, "*fp32"), **_COUNTS, "class_unit_ptr": f"*{dtype}"}
    signature["p"] = _matrix(tma, precision, blocks.depth, blocks.rows)
    signature["weighted"] = _matrix(tma, precision, blocks.depth, blocks.columns)
    constants = {
        "WIDTH": 512, "TMA": tma, "PRECISION": _dot_precision(precision),
        "BLOCK_C": blocks.rows, "BLOCK_W": blocks.columns, "BLOCK_N": blocks.depth,
    }  # fmt: skip
    label = f"{'tma' if tma else 'pointers'} {precision}"
    archs = (90,) if tma else (80, 90)
    return AotCase(weight_gradients, dtype, signature, constants, blocks.warps, blocks.stages, archs, label)
