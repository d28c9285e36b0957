"""How time, memory and error are measured, the same way for everything that is compared.

Time: contenders take turns, in an order that turns from round to round, so that whatever else the machine does meets
all of them; a ratio is taken within each round.  On a GPU the second-level cache is emptied before each run.
Memory: what a call allocates and has not freed, at its highest, seen by the allocator itself, so that what an operator
allocates inside counts, opaque or not.  Scratch memory that a BLAS library takes past torch's allocator does not.
Error: relative to the norm of what float64 gives.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler announces itself otherwise
# The first torch.compile would start processes that load torch for a while: on two cores, beside what is being timed.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

Run = Callable[[], object]

FLUSHED_BYTES = 256 * 2**20  # several times the second-level cache of an H100


@dataclass(frozen=True)
class Spread:
    """Of the rounds' times, in seconds."""

    median: float
    low: float  # a fifth of the rounds lies below
    high: float  # a fifth lies above
    least: float
    rounds: int


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as another contender: its time divided by one's own."""

    median: float  # of the rounds' ratios
    low: float  # a fifth of them lies below
    high: float  # a fifth lies above
    fastest: float  # least time of the other divided by one's own least time, which a busy machine disturbs least


@dataclass(frozen=True)
class Memory:
    """What a call had allocated at the highest, in bytes."""

    peak: int
    working: int  # without what it returns (on a GPU: the peak less what it returns, a lower bound)


def _quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, _, _, high = statistics.quantiles(values, n=5, method="inclusive")
    return low, statistics.median(values), high


def spread(seconds: Sequence[float]) -> Spread:
    low, median, high = _quantiles(seconds)
    return Spread(median, low, high, min(seconds), len(seconds))


def ratio(seconds: Mapping[str, Sequence[float]], faster: str, of: str) -> Ratio:
    """Compare two contenders of one race."""
    low, median, high = _quantiles([b / a for a, b in zip(seconds[faster], seconds[of], strict=True)])
    return Ratio(median, low, high, min(seconds[of]) / min(seconds[faster]))


def race(
    contenders: Mapping[str, Run], *, rounds: int, warm_up: int = 2, budget: float = 0.0, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds of every contender in every round: at least `rounds`, and more until `budget` seconds are over."""
    names = list(contenders)
    for _ in range(warm_up):
        for name in names:
            contenders[name]()
    timed = _CudaClock() if device == "cuda" else _seconds
    seconds: dict[str, list[float]] = {name: [] for name in names}
    end, index = time.perf_counter() + budget, 0
    while index < rounds or time.perf_counter() < end:
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(timed(contenders[name]))
        index += 1
    return seconds


def _seconds(run: Run) -> float:
    start = time.perf_counter()
    result = run()
    end = time.perf_counter()
    del result  # giving memory back is not part of the call
    return end - start


class _CudaClock:
    def __init__(self) -> None:
        self.flushed = torch.empty(FLUSHED_BYTES, dtype=torch.int8, device="cuda")

    def __call__(self, run: Run) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.flushed.zero_()  # nothing of the last call is left in the cache
        start.record()
        run()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3


def peak_memory(run: Run, device: str = "cpu") -> Memory:
    """Of a call that has run before, so that what is made once is there already."""
    return _peak_on_cuda(run) if device == "cuda" else _peak_on_cpu(run)


def _peak_on_cuda(run: Run) -> Memory:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = run()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - before
    returned = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in _tensors(result)}
    return Memory(peak, max(peak - sum(returned.values()), 0))


def _peak_on_cpu(run: Run) -> Memory:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        result = run()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        trace = json.loads(path.read_text())["traceEvents"]
    events = sorted((e for e in trace if e.get("name") == "[memory]"), key=lambda e: e["ts"])
    changes = [(int(e["args"]["Addr"]), int(e["args"]["Bytes"])) for e in events]
    kept = {t.untyped_storage().data_ptr() for t in _tensors(result)}
    # an address may have been used before: what is returned was allocated there last
    returned = {address: i for i, (address, size) in enumerate(changes) if size > 0 and address in kept}
    others = [size for i, (_, size) in enumerate(changes) if i not in returned.values()]
    return Memory(_highest([size for _, size in changes]), _highest(others))


def _highest(changes: Sequence[int]) -> int:
    live = highest = 0
    for change in changes:
        live += change
        highest = max(highest, live)
    return highest


def _tensors(result: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]


def relative_error(found: Tensor, truth: Tensor) -> float:
    """Norm of the difference over the norm of the truth, in float64; infinite for NaN, so that it fails any limit."""
    error = ((found.detach().double() - truth.detach().double()).norm() / truth.detach().double().norm()).item()
    return error if error == error else float("inf")


def keeping(run: Callable[..., Any], *arguments: Any) -> Run:
    """`run` with its arguments: a closure in a loop would see the last ones."""
    return lambda: run(*arguments)
