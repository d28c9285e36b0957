"""Time and memory of the gate against eager torch and torch.compile.

Each case is first checked against the formula in float64.  eager is `x * torch.sigmoid(logits)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from occmask_kernels import mask_apply

from .floors import COPY_RATE
from .groups import Contender, Group
from .measure import keeping, relative_error
from .record import Row

CHANNELS, HEIGHT, WIDTH = 512, 7, 6  # FROM's top map
TOLERANCE = {torch.float32: 2e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}  # eager rounds half precision every time
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


Gate = Callable[[Tensor, Tensor], Tensor]


class Case(NamedTuple):
    gate: str  # full (N, C, H, W), shared (N, 1, H, W) or vector (N, C)
    batch: int
    dtype: str
    layout: str = "contiguous"  # or channels last

    @property
    def name(self) -> str:
        return f"{self.gate} N={self.batch} {self.dtype} {self.layout}"


def cpu_cases() -> Iterator[Case]:
    for gate in ("full", "shared"):
        for batch in (8, 64):
            yield Case(gate, batch, "fp32")
            yield Case(gate, batch, "fp32", "channels last")
        yield Case(gate, 64, "bf16")
    yield Case("vector", 64, "fp32")
    yield Case("vector", 64, "bf16")


def cuda_cases() -> Iterator[Case]:
    for batch in (64, 256, 512, 1024, 4096):
        for dtype in DTYPES:
            yield Case("full", batch, dtype)
        for layout in ("contiguous", "channels last"):
            yield Case("shared", batch, "bf16", layout)
    yield Case("full", 512, "bf16", "channels last")
    yield Case("vector", 4096, "bf16")


def inputs(case: Case, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """x, logits, and the gradient of what comes out."""
    shape = (case.batch, CHANNELS) if case.gate == "vector" else (case.batch, CHANNELS, HEIGHT, WIDTH)
    gate_shape = (case.batch, 1, HEIGHT, WIDTH) if case.gate == "shared" else shape
    generator = torch.Generator(device).manual_seed(0)
    tensors = [torch.randn(s, generator=generator, device=device) for s in (shape, gate_shape, shape)]
    if case.layout == "channels last":
        tensors = [t.contiguous(memory_format=torch.channels_last) for t in tensors]
    x, logits, grad = (t.to(DTYPES[case.dtype]) for t in tensors)
    return x.requires_grad_(), logits.requires_grad_(), grad


def eager(x: Tensor, logits: Tensor) -> Tensor:
    return x * torch.sigmoid(logits)


def implementations() -> dict[str, Gate]:
    torch._dynamo.reset()  # a graph of its own for every case
    return {"ours": mask_apply, "eager": eager, "compile": torch.compile(eager, fullgraph=True, dynamic=False)}


def error(function: Gate, x: Tensor, logits: Tensor, grad: Tensor) -> float:
    """Of the output and both gradients, against float64: the largest, relative to the norm."""
    gated = function(x, logits)
    found = gated, *torch.autograd.grad(gated, (x, logits), grad)
    wide = [t.detach().double().requires_grad_() for t in (x, logits)]
    expected = eager(*wide)
    truth = expected, *torch.autograd.grad(expected, wide, grad.double())
    return max(relative_error(a, b) for a, b in zip(found, truth, strict=True))


def bytes_moved(case: Case, *, backward: bool) -> int:
    """What must be read and written: x, logits and the output, then the gradient, x and logits again, two gradients."""
    size = torch.finfo(DTYPES[case.dtype]).bits // 8
    of_x = case.batch * CHANNELS * (1 if case.gate == "vector" else HEIGHT * WIDTH) * size
    of_gate = of_x // CHANNELS if case.gate == "shared" else of_x
    return 2 * of_x + of_gate + (3 * of_x + 2 * of_gate if backward else 0)


def measure(case: Case, device: str, budget: float = 0.4) -> Iterator[Row]:
    """One row for each pass and implementation. Raises RuntimeError where ours is not near float64."""
    x, logits, grad = inputs(case, device)
    functions = implementations()
    errors = {name: error(function, x, logits, grad) for name, function in functions.items()}
    if not errors["ours"] <= TOLERANCE[DTYPES[case.dtype]]:
        raise RuntimeError(f"{case.name}: relative error {errors['ours']:.1e}, too large to go on and measure time")

    def forward(function: Gate) -> Tensor:
        with torch.no_grad():
            return function(x, logits)

    def both(function: Gate) -> tuple[Tensor, ...]:
        gated = function(x, logits)
        return gated, *torch.autograd.grad(gated, (x, logits), grad)

    for part, one_pass in (("forward", forward), ("forward+backward", both)):
        moved = bytes_moved(case, backward=part != "forward")
        of_gpu = {"floor_seconds": moved / COPY_RATE} if device == "cuda" else {}
        contenders = [
            Contender(name=name, run=keeping(one_pass, function), about={"error": {"worst": errors[name]}, **of_gpu})
            for name, function in functions.items()
        ]
        group = Group(table="mask", case=case.name, part=part, reference="eager", ours=("ours",), bytes_moved=moved)
        yield from group.measure(contenders, device=device, rounds=20, warm_up=3, budget=budget)
