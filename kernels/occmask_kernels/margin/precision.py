"""The operands of the matrix products. Sums, exponentials and results are never rounded to their precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Rounded operands have at most tf32's 10 stored bits, so a product of two is exact in float32.
PRECISIONS = ("fp16", "bf16", "tf32", "ieee")
OPERAND = {"fp16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32, "ieee": torch.float32}
TILE = {"fp16": torch.bfloat16, "bf16": torch.bfloat16, "tf32": torch.float32, "ieee": torch.float32}  # of the cache

# Probabilities reach 1 / C and below, where fp16 runs out of normal numbers (6e-5); times 2^14 they do at 4e-9.
LOG_GAIN = {"fp16": 14 * math.log(2), "bf16": 0.0, "tf32": 0.0, "ieee": 0.0}
# Rows weighted by their share of the largest gradient: times 2^15, fp16 holds shares down to 4e-8 in full.
ROW_GAIN = {"fp16": 2.0**15, "bf16": 1.0, "tf32": 1.0, "ieee": 1.0}
WIDTH_MULTIPLE = 64  # columns of a tile's depth


def padded_width(dim: int) -> int:
    """Unit rows of the kernels are padded with zeros to whole tiles: then no D is odd, and no load needs a mask."""
    return -(-dim // WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def aligned_width(classes: int) -> int:
    """Columns of a kernel's tiles: rows begin at multiples of 16 bytes."""
    return -(-classes // 8) * 8


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 when an input is, else float32: sums of thousands of exponentials need it."""
    return torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32


def round_operand(values: Tensor, precision: str) -> Tensor:
    """`values` as an operand of that precision, still in their own type; `values` themselves for "ieee"."""
    match precision:
        case "fp16" | "bf16":
            return values.to(OPERAND[precision]).to(values.dtype)
        case "tf32":  # round to nearest even at 10 of float32's 23 mantissa bits
            bits = values.float().view(torch.int32)
            rounded = (bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF
            return rounded.view(torch.float32).to(values.dtype)
    return values


def largest_exponent(dtype: torch.dtype) -> float:
    """Sums of exponentials up to exp(this) stay finite in `dtype` (8 below the limit, for the sake of rounding)."""
    return math.log(torch.finfo(dtype).max) - 8


def is_bounded(scale: float, num_classes: int, dtype: torch.dtype) -> bool:
    """Whether sum_j exp(scale * cos_j) fits `dtype` for any cosines: then no maximum need be subtracted."""
    return abs(scale) + math.log(num_classes) <= largest_exponent(dtype)
