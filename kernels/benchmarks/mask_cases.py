"""Time and memory of the gate against eager torch and torch.compile: `python -m benchmarks.mask_cases` in `kernels/`.

Each case is first checked against the formula in float64.  Then the three implementations take turns, so that whatever
else the machine does hits all of them, and a row gives the median (20th..80th percentile) of each, the ratios to
eager, and the peak of the bytes that a call has allocated, also as a ratio.  eager is `x * torch.sigmoid(logits)`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler announces itself otherwise

import torch
from torch import Tensor

from occmask_kernels import mask_apply

COPY_RATE = 3.0e12  # bytes a second that a copy reaches on an H100, what a kernel that only moves data is held to
CHANNELS, HEIGHT, WIDTH = 512, 7, 6  # FROM's top map
TOLERANCE = {torch.float32: 2e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}  # eager rounds half precision every time
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


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


def implementations() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    torch._dynamo.reset()  # a graph of its own for every case
    return {"ours": mask_apply, "eager": eager, "compile": torch.compile(eager, fullgraph=True, dynamic=False)}


def error(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, logits: Tensor, grad: Tensor) -> float:
    """Of the output and both gradients, against float64: the largest, relative to the norm."""
    gated = function(x, logits)
    found = gated, *torch.autograd.grad(gated, (x, logits), grad)
    wide = [t.detach().double().requires_grad_() for t in (x, logits)]
    expected = eager(*wide)
    truth = expected, *torch.autograd.grad(expected, wide, grad.double())
    return max(((a.double() - b).norm() / b.norm()).item() for a, b in zip(found, truth, strict=True))


def peak_bytes(run: Callable[[], Any], device: str) -> int:
    """The most bytes at once that a call has allocated and not freed."""
    run()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(profile_memory=True) as profile:
        run()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    live = peak = 0
    for event in sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"]):
        live += event["args"]["Bytes"]
        peak = max(peak, live)
    return peak


def seconds(runs: dict[str, Callable[[], Any]], device: str, budget: float) -> dict[str, list[float]]:
    """Times of each, taking turns until `budget` seconds are over; at least 20 times."""
    flush = torch.empty(256 * 2**20, dtype=torch.int8, device=device) if device == "cuda" else None
    for run in runs.values():
        for _ in range(3):
            run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + budget
    while time.perf_counter() < end or min(map(len, times.values())) < 20:
        for name, run in runs.items():
            if flush is not None:
                flush.zero_()  # nothing of the last call is left in the cache
            times[name].append(_seconds_on_cuda(run) if device == "cuda" else _seconds(run))
    return times


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _seconds_on_cuda(run: Callable[[], Any]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def bytes_moved(case: Case, *, backward: bool) -> int:
    """What must be read and written: x, logits and the output, then the gradient, x and logits again, two gradients."""
    size = torch.finfo(DTYPES[case.dtype]).bits // 8
    of_x = case.batch * CHANNELS * (1 if case.gate == "vector" else HEIGHT * WIDTH) * size
    of_gate = of_x // CHANNELS if case.gate == "shared" else of_x
    return 2 * of_x + of_gate + (3 * of_x + 2 * of_gate if backward else 0)


def measure(case: Case, device: str, budget: float = 0.4) -> Iterator[dict[str, Any]]:
    """One row for each pass and implementation. Raises RuntimeError where ours is not near float64."""
    x, logits, grad = inputs(case, device)
    functions = implementations()
    errors = {name: error(function, x, logits, grad) for name, function in functions.items()}
    if not errors["ours"] <= TOLERANCE[DTYPES[case.dtype]]:
        raise RuntimeError(f"{case.name}: relative error {errors['ours']:.1e}, too large to go on and measure time")

    def forward(function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        with torch.no_grad():
            return function(x, logits)

    def both(function: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        gated = function(x, logits)
        return gated, *torch.autograd.grad(gated, (x, logits), grad)

    for name, one_pass in (("forward", forward), ("forward+backward", both)):
        runs = {key: lambda f=function, p=one_pass: p(f) for key, function in functions.items()}
        peaks = {key: peak_bytes(run, device) for key, run in runs.items()}
        times = seconds(runs, device, budget)
        reference = statistics.median(times["eager"])
        for key in functions:
            low, *_, high = statistics.quantiles(times[key], n=5)
            median = statistics.median(times[key])
            row = {"case": case.name, "pass": name, "implementation": key, "median_us": median * 1e6}
            row |= {"p20_us": low * 1e6, "p80_us": high * 1e6, "time_ratio": median / reference}
            row |= {"peak_bytes": peaks[key], "memory_ratio": peaks[key] / peaks["eager"], "error": errors[key]}
            if device == "cuda":
                rate = bytes_moved(case, backward=one_pass is both) / median
                row |= {"gb_per_s": rate / 1e9, "of_copy_rate": rate / COPY_RATE}
            yield row


def text(row: dict[str, Any]) -> str:
    spread = f"({row['p20_us']:.1f}..{row['p80_us']:.1f})"
    rate = f"{row['gb_per_s']:>6.0f} GB/s {row['of_copy_rate']:>4.0%}" if "gb_per_s" in row else ""
    return (
        f"{row['case']:<30} {row['pass']:<17} {row['implementation']:<8} {row['median_us']:>9.1f} us {spread:<20}"
        f"{row['time_ratio']:>5.2f} {row['peak_bytes'] / 2**20:>9.2f} MiB {row['memory_ratio']:>5.2f}"
        f" {row['error']:>9.1e} {rate}"
    ).rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mask_cases", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    arguments = parser.parse_args()
    device = arguments.device
    if not arguments.json:
        where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        print(
            f"torch {torch.__version__}, {where}; time (20 %..80 %) and memory with ratios to eager, error to float64"
        )
    for case in cuda_cases() if device == "cuda" else cpu_cases():
        for row in measure(case, device):
            print(json.dumps(row) if arguments.json else text(row), flush=True)


if __name__ == "__main__":
    main()
