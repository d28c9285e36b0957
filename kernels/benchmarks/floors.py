"""The least time an H100 needs for the margin loss: each step's FLOPs or bytes at a named ceiling, whichever is longer.

The ceilings are those the kernels were designed to, not what this machine reached; the kernel table measures the latter
(`kernel_cases.ceilings`).  Steps and bytes: normalising the class weights, the cosines, their gradients (again, or from
kept exponentials), the embedding's and the weights' gradient.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

COPY_RATE = 3.0e12  # bytes a second that a copy reaches on an H100, reading and writing both counted
PRODUCT_RATE = {  # multiplications and additions a second of a large matrix product
    "fp16": 798e12,
    "bf16": 798e12,
    "tf32": 399e12,  # half the rate of 16 bits
    "ieee": 50e12,  # ordinary arithmetic units
}
OPERAND_BYTES = {"fp16": 2, "bf16": 2, "tf32": 4, "ieee": 4}


class Step(NamedTuple):
    name: str
    flops: float
    bytes: float

    def floor(self, precision: str) -> float:
        """Seconds."""
        return max(self.flops / PRODUCT_RATE[precision], self.bytes / COPY_RATE)


def product_flops(rows: int, classes: int, dim: int, *, backward: bool) -> float:
    """Of the one product of the forward pass, or of all three."""
    return (6.0 if backward else 2.0) * rows * classes * dim


def steps(rows: int, classes: int, dim: int, *, precision: str, cached: bool, backward: bool) -> list[Step]:
    """Float32 weights and gradient; `cached`: the exponentials go through memory instead of being computed again."""
    size, product = OPERAND_BYTES[precision], product_flops(rows, classes, dim, backward=False)
    units, tiles = classes * dim * size, rows * classes * size if cached and backward else 0
    found = [Step("normalise", 0, classes * dim * 4 + units), Step("sums", product, units + tiles)]
    if backward:
        found += [] if cached else [Step("gradients", product, units)]
        found += [Step("embedding gradient", product, tiles + (units if cached else 0))]
        found += [Step("weight gradients", product, tiles + units + classes * dim * 4)]
    return found


def floor_seconds(of: Iterable[Step], precision: str) -> float:
    return sum(step.floor(precision) for step in of)
