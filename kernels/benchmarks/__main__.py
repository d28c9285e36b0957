"""The benchmark: first whether our operations are right, then how they compare with others'.

    PYTHONPATH=kernels python -m benchmarks                    # the CPU part, under 5 minutes on 2 cores
    PYTHONPATH=kernels python -m benchmarks --device cuda --json runs/bench-cuda.json
    PYTHONPATH=kernels python -m benchmarks --only margin --quick
    PYTHONPATH=kernels python -m benchmarks --only search    # by name only: minutes, and 6 GB

from the root of the repository; `make bench` runs the first with --json runs/bench.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import torch

from . import gate, margin_cases, mask_cases, matching_cases, model_cases, numerics_cases, search_cases, tables
from .record import Recorder, Row

TABLES = ("numerics", "margin", "mask", "model", "matching", "kernels", "search")
PRECISIONS_OF_KERNELS = ("fp16", "bf16", "tf32")


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where an operation is wrong."""
    given = _parser().parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device here; --device cpu works", file=sys.stderr)
        return 1
    if given.threads:
        torch.set_num_threads(given.threads)
    start = time.perf_counter()
    recorder = Recorder(given.json, device=given.device, arguments={k: str(v) for k, v in vars(given).items()})
    about = recorder.content["environment"]
    machine = about.get("gpu", f"{about['cpu']}, {about['threads']} threads")
    print(f"torch {torch.__version__}, {machine}, load {about['load']} at the start", flush=True)
    checked = [recorder.add(row) for row in gate.verify(given.device)]
    print(tables.checks(checked), flush=True)
    if not all(row.right for row in checked):
        return 1
    for table in [given.only] if given.only else TABLES:
        if table == "kernels" and given.device == "cpu":
            continue  # no kernel of ours runs on a CPU
        if table == "search" and given.only is None:
            continue  # minutes, and 6 GB
        _print_table(table, MEASURES[table](given), recorder, given.device)
    recorder.finish()
    seconds = time.perf_counter() - start
    print(f"\n{len(recorder.rows)} rows in {seconds:.0f} s, load {recorder.content['load_after']} at the end", end="")
    print(f"; written to {given.json}" if given.json else "")
    return 0 if all(row.right for row in recorder.rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="few cases, few rounds, no compiled model")
    parser.add_argument("--only", choices=TABLES, help="one table (the checks come first all the same)")
    parser.add_argument("--model", default="from_r50", help="of the model table")
    parser.add_argument("--gallery", type=int, default=5000, help="faces of the matching table (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of the CPU; as many as torch chooses without it")
    parser.add_argument("--json", type=Path, help="also write everything there, after each row")
    return parser


def _numerics(given: argparse.Namespace) -> Iterator[Row]:
    return numerics_cases.measure(given.device)


def _margin(given: argparse.Namespace) -> Iterator[Row]:
    for case in margin_cases.cases(given.device, quick=given.quick):
        yield from margin_cases.measure(case, given.device)
        _release(given.device)


def _kernels(given: argparse.Namespace) -> Iterator[Row]:
    from . import kernel_cases  # needs Triton

    yield from kernel_cases.ceilings()
    for size in kernel_cases.SIZES_QUICK if given.quick else kernel_cases.SIZES:
        for precision in PRECISIONS_OF_KERNELS:
            yield from kernel_cases.measure(size, precision)
            _release(given.device)


def _mask(given: argparse.Namespace) -> Iterator[Row]:
    cases = list(mask_cases.cuda_cases() if given.device == "cuda" else mask_cases.cpu_cases())
    for case in cases[::4] if given.quick else cases:
        yield from mask_cases.measure(case, given.device, budget=0.1 if given.quick else 0.4)


def _model(given: argparse.Namespace) -> Iterator[Row]:
    for compiled in (False,) if given.quick else (False, True):
        rounds = 5 if given.quick else 20
        yield from model_cases.measure(given.model, device=given.device, rounds=rounds, compiled=compiled)


def _matching(given: argparse.Namespace) -> Iterator[Row]:
    gallery, rounds = (1000, 2) if given.quick else (given.gallery, 3)
    yield from matching_cases.measure(gallery=gallery, rounds=rounds, device=given.device)
    for batch in (1, 8):
        yield from matching_cases.measure_head(batch=batch, rounds=5 if given.quick else 15, device=given.device)


def _search(given: argparse.Namespace) -> Iterator[Row]:
    for case in search_cases.cases(quick=given.quick):
        yield from search_cases.measure(case, given.device, 3 if given.quick else 7)
        _release(given.device)


MEASURES: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "numerics": _numerics,
    "margin": _margin,
    "kernels": _kernels,
    "mask": _mask,
    "model": _model,
    "matching": _matching,
    "search": _search,
}


def _release(device: str) -> None:
    if device == "cuda":
        torch.cuda.empty_cache()


def _print_table(table: str, rows: Iterator[Row], recorder: Recorder, device: str) -> None:
    """Each group as soon as it is there."""
    print(f"\n== {table} " + "=" * (tables.WIDTH - len(table) - 4))
    if table != "numerics":
        print(tables.meanings(table, device))
    recorded = (recorder.add(row) for row in rows)
    one = tables.numerics if table == "numerics" else tables.kernels if table == "kernels" else tables.group
    for _, together in groupby(recorded, key=lambda row: (row.case, row.part)):
        print(one(list(together)), end="\n\n" if table == "margin" else "\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
