"""Launches of the kernels that work on rows, each of which one program holds whole in registers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import triton
from torch import Tensor

from .._launch import COMPILE_OPTIONS, AotCase
from .reference import EPS
from .rows_kernel import normalise_rows, normalise_rows_backward, target_cosines, weigh_rows

ROWS = 4  # of one program


def _grid(num_rows: int) -> tuple[int]:
    return (triton.cdiv(num_rows, ROWS),)


def _rows_whole(rows: Tensor) -> Tensor:
    return rows if rows.stride(1) == 1 else rows.contiguous()


def launch_normalise(rows: Tensor, index: Tensor | None, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Unit rows (n, width) of `dtype` and their inverse lengths (n,); `index` (n,) picks the rows."""
    rows = _rows_whole(rows)
    count = (rows if index is None else index).shape[0]
    unit = torch.empty(count, width, dtype=dtype, device=rows.device)
    inverse = torch.empty(count, dtype=torch.float32, device=rows.device)
    normalise_rows[_grid(count)](
        rows, rows if index is None else index, unit, inverse, count, rows.shape[1], rows.stride(0),
        WIDTH=width, EPS=EPS, GATHER=index is not None, ROWS=ROWS, BLOCK=triton.next_power_of_2(width),
        **COMPILE_OPTIONS,
    )  # fmt: skip
    return unit, inverse


def launch_weigh(unit: Tensor, row: Tensor, size: Tensor) -> Tensor:
    """(N, width): unit * row / size, in unit's type; `size` is one number."""
    weighted = torch.empty_like(unit)
    count, width = unit.shape
    weigh_rows[_grid(count)](
        unit, row, size, weighted, count, WIDTH=width, ROWS=ROWS, BLOCK=triton.next_power_of_2(width), **COMPILE_OPTIONS
    )
    return weighted


def launch_target_cosines(embedding: Tensor, weight: Tensor, label: Tensor, classes: Tensor | None) -> Tensor:
    """(N,) float32; see `reference.target_cosine`."""
    embedding, weight = _rows_whole(embedding), _rows_whole(weight)
    count, dim = embedding.shape
    cosine = torch.empty(count, dtype=torch.float32, device=embedding.device)
    target_cosines[_grid(count)](
        embedding, weight, label, label if classes is None else classes, cosine, count,
        (weight if classes is None else classes).shape[0], dim, embedding.stride(0), weight.stride(0),
        EPS=EPS, GATHER=classes is not None, ROWS=ROWS, BLOCK=triton.next_power_of_2(dim), **COMPILE_OPTIONS,
    )  # fmt: skip
    return cosine


def launch_normalise_backward(grad_unit: Tensor, row: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of `rows` (N, D) in their type, and (N,) row * (grad_unit . unit)."""
    rows = _rows_whole(rows)
    count, dim = rows.shape
    grad = torch.empty(count, dim, dtype=rows.dtype, device=rows.device)
    cosine = torch.empty(count, dtype=torch.float32, device=rows.device)
    normalise_rows_backward[_grid(count)](
        grad_unit, row, rows, grad, cosine, count, dim, rows.stride(0), grad_unit.stride(0),
        EPS=EPS, ROWS=ROWS, BLOCK=triton.next_power_of_2(dim), **COMPILE_OPTIONS,
    )  # fmt: skip
    return grad, cosine


def aot_cases() -> Iterator[AotCase]:
    size = {"EPS": EPS, "ROWS": ROWS, "BLOCK": 512}
    count = {"num_rows": "i32", "num_classes": "i32", "dim": "i32/16"}
    stride = {
        "row_stride": "i32/16",
        "embedding_stride": "i32/16",
        "weight_stride": "i32/16",
        "grad_unit_stride": "i32/16",
    }
    for dtype in ("fp16", "fp32"):
        unit = {"rows_ptr": "*fp32", "index_ptr": "*i64", "unit_ptr": f"*{dtype}", "inverse_ptr": "*fp32"}
        yield AotCase(normalise_rows, dtype, unit | count | stride, {"WIDTH": 512, "GATHER": False, **size})
    yield AotCase(
        normalise_rows, "fp16", unit | count | stride, {"WIDTH": 512, "GATHER": True, **size}, label="sampled"
    )
    weighted = {"unit_ptr": "*fp16", "row_ptr": "*fp32", "size_ptr": "*fp32", "weighted_ptr": "*fp16"}
    yield AotCase(weigh_rows, "fp16", weighted | count, {"WIDTH": 512, "ROWS": ROWS, "BLOCK": 512})
    pointers = dict.fromkeys(("embedding_ptr", "weight_ptr", "cosine_ptr"), "*fp32")
    pointers |= {"label_ptr": "*i64", "index_ptr": "*i64"}
    yield AotCase(target_cosines, "fp32", pointers | count | stride, {"GATHER": False, **size})
    pointers = dict.fromkeys(("grad_unit_ptr", "row_ptr", "rows_ptr", "grad_ptr", "cosine_ptr"), "*fp32")
    yield AotCase(normalise_rows_backward, "fp32", pointers | count | stride, dict(size))
