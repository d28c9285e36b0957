"""How long a batch of faces takes: the published structure, our evaluation forward, and `occmask.optimize`.

    cd kernels && python -m benchmarks.model_cases --json models.json
    cd kernels && python -m benchmarks.model_cases --model from_r18 --rounds 30 --eager-only

Every contender of a group runs once a round, in an order that turns from round to round, so that whatever else the
machine does meets all of them.  A ratio is taken within each round; reported are its median and quartiles, and the
ratio of the fastest runs, which a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import occmask

from .published import PublishedFrom, randomise

Contender = Callable[[], object]


class Ratio(NamedTuple):
    """How many times faster than `of` a contender is."""

    faster: str
    of: str
    median: float  # of the rounds' ratios
    low: float  # their first quartile
    high: float  # their third quartile
    fastest: float  # least time of `of` divided by least time of `faster`


def race(contenders: Mapping[str, Contender], *, rounds: int, warm_up: int = 2) -> dict[str, list[float]]:
    """Seconds of every contender in every round."""
    names = list(contenders)
    for _ in range(warm_up):
        for name in names:
            contenders[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            start = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], faster: str, of: str) -> Ratio:
    """Compare two contenders of one race."""
    each = [slow / fast for slow, fast in zip(seconds[of], seconds[faster], strict=True)]
    low, median, high = statistics.quantiles(each, n=4) if len(each) > 1 else each * 3
    return Ratio(faster, of, median, low, high, min(seconds[of]) / min(seconds[faster]))


def contenders(model: str, *, batch: int, compiled: bool) -> dict[str, Contender]:
    """The published structure, our evaluation forward and its inference form, with the same image batch.

    Depth and mask are those of `model`; without a head there is nothing published to compare with.
    """
    ours = randomise(occmask.build(model), seed=0)
    forms: dict[str, nn.Module] = {"evaluation": ours, "optimized": occmask.optimize(ours)}
    theirs = published_like(ours)
    if theirs is not None:
        forms = {"published": theirs, **forms}
    height, width = ours.config.image_size
    images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    if compiled:
        del forms["evaluation"]
        return {f"{name}, compiled": _runs(torch.compile(form), images) for name, form in forms.items()}
    return {name: _runs(form, images) for name, form in forms.items()}


def published_like(model: occmask.models.FaceModel) -> nn.Module | None:
    """The published network of this model's depth and mask, if there is one."""
    config = model.config
    variant = None if config.head is None else config.head.options.get("mask_decoder", "full")
    variant = getattr(variant, "name", variant)
    if config.backbone.name != "lresnet" or variant not in ("full", "spatial", "vector"):
        return None
    return randomise(PublishedFrom(variant, 5, depth=config.backbone.options.get("depth", 50)), seed=0)


def _runs(form: Callable[[Tensor], Any], images: Tensor) -> Contender:
    def run() -> object:
        with torch.inference_mode():
            return form(images)

    return run


def measure(
    model: str, *, batch: int = 8, rounds: int = 20, threads: int = 2, compiled: bool = False
) -> dict[str, Any]:
    """One race: seconds of every contender, and the ratios to the optimized form, as plain data."""
    torch.set_num_threads(threads)
    load = os.getloadavg()[0]
    seconds = race(contenders(model, batch=batch, compiled=compiled), rounds=rounds)
    *others, fastest = seconds
    return {
        "model": model,
        "batch": batch,
        "threads": threads,
        "rounds": rounds,
        "compiled": compiled,
        "load_before": load,
        "seconds": {name: {"min": min(s), "median": statistics.median(s)} for name, s in seconds.items()},
        "ratios": [ratio(seconds, fastest, other)._asdict() for other in others],
    }


def report(measured: Mapping[str, Any]) -> str:
    """The race for people."""
    lines = [
        f"{measured['model']}, batch {measured['batch']}, {measured['threads']} threads, {measured['rounds']} rounds, "
        f"load {measured['load_before']:.1f} before"
    ]
    for name, s in measured["seconds"].items():
        lines.append(f"  {name:<22} fastest {1e3 * s['min']:7.1f} ms   median {1e3 * s['median']:7.1f} ms")
    for r in measured["ratios"]:
        lines.append(
            f"  {r['faster']} is {r['median']:.2f} times as fast as {r['of']} "
            f"(quartiles {r['low']:.2f} to {r['high']:.2f}; fastest runs {r['fastest']:.2f})"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.model_cases", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--model", default="from_r50")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--eager-only", action="store_true", help="leave torch.compile out")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args(arguments)
    measured = []
    for compiled in (False,) if given.eager_only else (False, True):
        measured.append(
            measure(given.model, batch=given.batch, rounds=given.rounds, threads=given.threads, compiled=compiled)
        )
        print(report(measured[-1]), flush=True)
    if given.json is not None:
        about = {"torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
        given.json.write_text(json.dumps({**about, "measured": measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
