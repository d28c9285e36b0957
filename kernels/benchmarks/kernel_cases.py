"""Each kernel of the margin loss alone, beside its floor, and what this GPU's library and memory reach.

Not yet run on a GPU: its launches are checked by Triton's interpreter only.  K0 to K4 are the names of the design: unit
rows, row sums, target cosines, gradients of the cosines, the library's product for the embedding, weight gradients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from occmask_kernels.margin.fused import CHUNK_BYTES, CLASS_MULTIPLE
from occmask_kernels.margin.precision import LOG_GAIN, OPERAND, ROW_GAIN, TILE
from occmask_kernels.margin.product_launch import (
    Product,
    has_copy_engine,
    launch_gradients,
    launch_sums,
    launch_tile_gradients,
    launch_weight_gradients,
)
from occmask_kernels.margin.reference import products, split_gradient, weigh
from occmask_kernels.margin.rows_launch import (
    launch_normalise,
    launch_normalise_backward,
    launch_target_cosines,
    launch_weigh,
)

from .floors import OPERAND_BYTES, Step, product_flops
from .groups import Contender, Group
from .measure import Run
from .record import Row
from .scenes import SCALE, scene

SIZES = ((512, 10_572, 512), (128, 93_431, 512), (1024, 93_431, 512))
SIZES_QUICK = SIZES[-1:]


class Kernel(NamedTuple):
    """What is launched for all classes, and what it must do."""

    step: Step
    run: Run


class _Operands:
    """What the kernels of one step hand to each other."""

    def __init__(self, size: tuple[int, int, int], precision: str, device: str):
        batch = scene(*size, cosine=0.5, device=device)
        self.size, self.precision, dtype = size, precision, OPERAND[precision]
        rows, classes, self.width = size
        self.embedding, self.weight, self.label = batch.embedding.detach(), batch.weight.detach(), batch.label
        self.unit, _ = launch_normalise(self.embedding, None, self.width, dtype)
        self.units, self.inverse = launch_normalise(self.weight, None, self.width, dtype)
        self.scale = torch.full((), SCALE, device=device)
        self.cosine = launch_target_cosines(self.embedding, self.weight, self.label, None)
        self.zero, self.nothing = torch.zeros_like(self.cosine), self.unit.new_empty(rows, 0)
        sums, _ = launch_sums(self.product(0, classes), self.zero, self.cosine, self.nothing, ranked=False)
        upstream = torch.full_like(self.cosine, 1 / rows)
        split = split_gradient(upstream, -upstream * SCALE, self.scale, sums.log(), LOG_GAIN[precision])
        self.row, self.target, self.offset = split.row, split.target, split.offset / math.log(2)
        self.share = weigh(self.row, ROW_GAIN[precision])
        self.weighted = launch_weigh(self.unit, self.row, self.share)
        chunk = CHUNK_BYTES // (rows * dtype.itemsize) // CLASS_MULTIPLE * CLASS_MULTIPLE
        self.chunk = min(max(chunk, CLASS_MULTIPLE), -(-classes // 64) * 64)
        self.p = torch.empty(rows, self.chunk, dtype=dtype, device=device)
        self.along = launch_gradients(*self.gradient_arguments(0, min(self.chunk, classes)))
        self.gradient = torch.empty_like(self.weight)

    def chunks(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.size[1], self.chunk):
            yield start, min(start + self.chunk, self.size[1])

    def product(self, start: int, stop: int) -> Product:
        units, tma = self.units[start:stop], has_copy_engine(self.unit, self.precision)
        return Product(self.unit, units, self.label, self.scale, start, self.precision, tma)

    def gradient_arguments(self, start: int, stop: int) -> tuple[Product, Tensor, Tensor, Tensor, Tensor]:
        return self.product(start, stop), self.offset, self.target, self.row, self.p[:, : stop - start]


def kernels(size: tuple[int, int, int], precision: str, device: str) -> Iterator[Kernel]:
    """Each on the same operands; the gradient of a chunk stays in the cache from launch to launch, as in use."""
    o = _Operands(size, precision, device)
    rows, classes, dim = size
    product, width = product_flops(rows, classes, dim, backward=False), OPERAND_BYTES[precision]
    units, tile = classes * dim * width, rows * classes * TILE[precision].itemsize
    whole = o.product(0, classes)

    def gradients() -> None:
        for start, stop in o.chunks():
            launch_gradients(*o.gradient_arguments(start, stop))

    def library() -> None:
        for start, stop in o.chunks():
            p = o.p[:, : stop - start]
            with products(precision):
                if p.is_cuda and p.dtype != torch.float32:
                    torch.mm(p, o.units[start:stop], out_dtype=torch.float32)
                else:
                    p.float() @ o.units[start:stop].float()

    def weight_gradients() -> None:
        for start, stop in o.chunks():
            p, inverse, gradient = o.p[:, : stop - start], o.inverse[start:stop], o.gradient[start:stop]
            along = o.along[:, : stop - start]
            launch_weight_gradients(p, o.weighted, o.share, along, o.product(start, stop), inverse, gradient)

    grad_unit = o.unit.float()
    yield Kernel(
        Step("K0 normalise the weights", 0, classes * dim * 4 + units),
        lambda: launch_normalise(o.weight, None, o.width, OPERAND[precision]),
    )
    yield Kernel(
        Step("K1 sums", product, units),
        lambda: launch_sums(whole, o.zero, o.cosine, o.nothing, ranked=False),
    )
    yield Kernel(
        Step("K1 sums and ranks", product, units),
        lambda: launch_sums(whole, o.zero, o.cosine, o.nothing, ranked=True),
    )
    yield Kernel(
        Step("K2 target cosines", 0, 2 * rows * dim * 4),
        lambda: launch_target_cosines(o.embedding, o.weight, o.label, None),
    )
    yield Kernel(Step("K1' gradients of the cosines", product, units), gradients)
    yield Kernel(Step("K3 embedding gradient (library)", product, units), library)
    yield Kernel(Step("K4 weight gradients", product, units + classes * dim * 4), weight_gradients)
    yield Kernel(
        Step("normalise backward, embedding", 0, 3 * rows * dim * 4),
        lambda: launch_normalise_backward(grad_unit, o.row, o.embedding),
    )
    if precision != "fp16":  # whose exponentials are not kept
        yield from _kept(o, product, units, tile)


def _kept(o: _Operands, product: float, units: int, tile: int) -> Iterator[Kernel]:
    rows, classes, _ = o.size
    tiles = torch.empty(rows, -(-classes // 8) * 8, dtype=TILE[o.precision], device=o.unit.device)[:, :classes]
    whole = o.product(0, classes)

    def gradients() -> None:
        for start, stop in o.chunks():
            part, p = tiles[:, start:stop], o.p[:, : stop - start]
            launch_tile_gradients(part, o.product(start, stop), o.offset, o.target, o.cosine, o.row, p)

    yield Kernel(
        Step("K1 sums, exponentials kept", product, units + tile),
        lambda: launch_sums(whole, o.zero, o.cosine, tiles, ranked=False),
    )
    yield Kernel(Step("K1' gradients from what was kept", 0, tile), gradients)


def measure(size: tuple[int, int, int], precision: str, device: str = "cuda", *, rounds: int = 20) -> list[Row]:
    """A row for each kernel."""
    rows = []
    for kernel in kernels(size, precision, device):
        name = "N={} C={} D={} {}".format(*size, precision)
        rows += _alone(name, kernel.step, kernel.run, precision, device, rounds)
    return rows


def _alone(case: str, step: Step, run: Run, precision: str, device: str, rounds: int) -> list[Row]:
    """What only moves data has a rate in bytes, a product one in FLOPs."""
    group = Group(
        table="kernels",
        case=case,
        part="one kernel, all classes",
        reference=step.name,
        flops=step.flops or None,
        bytes_moved=None if step.flops else step.bytes,
    )
    contender = Contender(name=step.name, run=run, about={"floor_seconds": step.floor(precision)})
    return group.measure([contender], device=device, rounds=rounds, warm_up=3, memory=False)


def ceilings(device: str = "cuda", *, rounds: int = 20) -> list[Row]:
    """What this machine reaches: copying 4 GB, and the library's products in bf16."""
    source = torch.empty(2 * 10**9, dtype=torch.int8, device=device)
    target = torch.empty_like(source)
    step = Step("copy, 2 GB read and 2 GB written", 0, 4e9)
    rows = _alone("what this GPU reaches", step, partial(target.copy_, source), "bf16", device, rounds)
    del source, target
    for m, k, n in ((8192, 8192, 8192), (1024, 93_431, 512), (93_431, 1024, 512)):
        a, b = (torch.randn(s, device=device, dtype=torch.bfloat16) for s in ((m, k), (k, n)))
        step = Step(f"product {m}x{k}x{n} bf16", 2.0 * m * k * n, 2 * (m * k + k * n + m * n))
        rows += _alone("what this GPU reaches", step, partial(torch.mm, a, b), "bf16", device, rounds)
    return rows
