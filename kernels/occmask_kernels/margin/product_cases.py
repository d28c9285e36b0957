"""Every variant of the product kernels that is launched, for `python -m occmask_kernels.aot`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._launch import AotCase
from .cosine_kernel import cosine_gradients, cosine_maxima, cosine_sums, tile_gradients
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
    blocks = blocks_of(table, tma, precision)
    dtype = precision if precision in ("fp16", "bf16") else "fp32"
    signature = {**dict.fromkeys(kernel.arg_names, "*fp32"), **_COUNTS, "rank_ptr": "*i32"}
    signature["unit"] = _matrix(tma, precision, blocks.rows, blocks.depth)
    signature["class_unit"] = _matrix(tma, precision, blocks.columns, blocks.depth)
    signature["p"] = _matrix(tma, precision, blocks.rows, blocks.columns // 2)
    signature["tiles"] = _matrix(tma, precision, blocks.rows, blocks.columns) if constants.get("TILES") else f"*{dtype}"
    shape = {"BLOCK_N": blocks.rows, "BLOCK_C": blocks.columns, "BLOCK_D": blocks.depth}
    product = {"WIDTH": 512, "TMA": tma, "PRECISION": dot_precision(precision)}
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
    blocks = blocks_of(WEIGHT, tma, precision)
    dtype = precision if precision in ("fp16", "bf16") else "fp32"
    signature = {**dict.fromkeys(weight_gradients.arg_names, "*fp32"), **_COUNTS, "class_unit_ptr": f"*{dtype}"}
    signature["p"] = _matrix(tma, precision, blocks.depth, blocks.rows)
    signature["weighted"] = _matrix(tma, precision, blocks.depth, blocks.columns)
    constants = {
        "WIDTH": 512, "TMA": tma, "PRECISION": dot_precision(precision),
        "BLOCK_C": blocks.rows, "BLOCK_W": blocks.columns, "BLOCK_N": blocks.depth,
    }  # fmt: skip
    label = f"{'tma' if tma else 'pointers'} {precision}"
    archs = (90,) if tma else (80, 90)
    return AotCase(weight_gradients, dtype, signature, constants, blocks.warps, blocks.stages, archs, label)
