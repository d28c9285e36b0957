"""Every variant of the product kernels that is launched, for `python -m occmask_kernels.aot`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from .._launch import ARCHITECTURES, AotCase
from .cosine_kernel import cosine_gradients, cosine_maxima, cosine_sums, tile_gradients
from .precision import OPERAND, TILE
from .product_launch import (
    ELEMENTWISE,
    GRADIENTS,
    GRADIENTS_OF_FEW,
    SUMS,
    WEIGHT,
    Blocks,
    blocks_of,
    dot_precision,
)
from .weight_gradient_kernel import weight_gradients

LAUNCHED = [
    (True, "fp16"),
    (True, "bf16"),
    (True, "tf32"),
    (False, "fp16"),
    (False, "bf16"),
    (False, "tf32"),
    (False, "ieee"),
]


def aot_cases() -> Iterator[AotCase]:
    for tma, precision in LAUNCHED:
        for ranked, stored in itertools.product((False, True), repeat=2):
            extra = " rank" * ranked + " tiles" * stored
            yield _cosine_case(cosine_sums, SUMS, tma, precision, extra, RANK=ranked, TILES=stored)
        yield _cosine_case(cosine_maxima, SUMS, tma, precision)
        yield _cosine_case(cosine_gradients, GRADIENTS, tma, precision)
        if blocks_of(GRADIENTS, tma, precision) != blocks_of(GRADIENTS_OF_FEW, tma, precision):
            yield _cosine_case(cosine_gradients, GRADIENTS_OF_FEW, tma, precision, " few")
        yield _weight_case(tma, precision)
    for precision in ("fp16", "bf16", "tf32"):
        yield _tile_case(precision)


# Whole chunks; the last one may be any
_COUNTS = {
    "label_ptr": "*i64", "num_rows": "i32", "num_classes": "i32", "first": "i32", "row_blocks": "i32",
    "dim": "i32/16", "p_stride": "i32/16", "tile_stride": "i32/16",
}  # fmt: skip


def _label(tma: bool, precision: str) -> str:
    return f"{'tma' if tma else 'pointers'} {precision}"


def _type(dtype: torch.dtype) -> str:
    return {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(dtype, "fp32")


def _matrix(tma: bool, dtype: str, rows: int, columns: int) -> str:
    return f"tensordesc<{dtype}[{rows},{columns}]>" if tma else f"*{dtype}"


def _cosine_case(
    kernel: Any, table: dict[tuple[bool, str], Blocks], tma: bool, precision: str, extra: str = "", **constants: bool
) -> AotCase:
    blocks, dtype, tile_dtype = blocks_of(table, tma, precision), _type(OPERAND[precision]), _type(TILE[precision])
    signature = {**dict.fromkeys(kernel.arg_names, "*fp32"), **_COUNTS, "rank_ptr": "*i32"}
    signature["unit"] = _matrix(tma, dtype, blocks.rows, blocks.depth)
    signature["class_unit"] = _matrix(tma, dtype, blocks.columns, blocks.depth)
    signature["p"] = _matrix(tma, dtype, blocks.rows, blocks.columns // 2)
    signature["tiles"] = _matrix(tma and constants.get("TILES", False), tile_dtype, blocks.rows, blocks.columns)
    shape = {"BLOCK_N": blocks.rows, "BLOCK_C": blocks.columns, "BLOCK_D": blocks.depth}
    product = {"WIDTH": 512, "TMA": tma, "PRECISION": dot_precision(precision)}
    label = _label(tma, precision) + extra
    archs = (90,) if tma else ARCHITECTURES
    return AotCase(kernel, dtype, signature, product | shape | constants, blocks.warps, blocks.stages, archs, label)


def _weight_case(tma: bool, precision: str) -> AotCase:
    blocks, dtype = blocks_of(WEIGHT, tma, precision), _type(OPERAND[precision])
    signature = {**dict.fromkeys(weight_gradients.arg_names, "*fp32"), **_COUNTS, "class_unit_ptr": f"*{dtype}"}
    signature["p"] = _matrix(tma, dtype, blocks.depth, blocks.rows)
    signature["weighted"] = _matrix(tma, dtype, blocks.depth, blocks.columns)
    constants = {
        "WIDTH": 512, "TMA": tma, "PRECISION": dot_precision(precision),
        "BLOCK_C": blocks.rows, "BLOCK_W": blocks.columns, "BLOCK_N": blocks.depth,
    }  # fmt: skip
    archs = (90,) if tma else ARCHITECTURES
    return AotCase(
        weight_gradients, dtype, signature, constants, blocks.warps, blocks.stages, archs, _label(tma, precision)
    )


def _tile_case(precision: str) -> AotCase:
    signature = {**dict.fromkeys(tile_gradients.arg_names, "*fp32"), **_COUNTS, "num_classes": "i32/16"}
    signature["tiles_ptr"], signature["p_ptr"] = f"*{_type(TILE[precision])}", f"*{_type(OPERAND[precision])}"
    constants = {"BLOCK_N": ELEMENTWISE[0], "BLOCK_C": ELEMENTWISE[1]}
    return AotCase(tile_gradients, _type(OPERAND[precision]), signature, constants, label=precision)
