"""What a measurement is called and where it goes: rows, the environment they were measured in, and a file of both."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from .measure import Memory, Ratio, Spread

FORMAT = 1
PACKAGES = ("torch", "triton", "numpy", "liger-kernel", "cut-cross-entropy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One implementation in one case; what was not measured is None, and `note` says why."""

    table: str  # gate, numerics, margin, kernels, mask, model or matching
    case: str
    part: str  # of the work: forward, forward+backward, ...
    implementation: str
    note: str = ""
    seconds: Spread | None = None
    as_fast_as: Mapping[str, Ratio] = dataclasses.field(default_factory=dict)  # by name of the other
    memory: Memory | None = None
    peak_ratio: float | None = None  # peak memory over that of the reference
    working_ratio: float | None = None  # working memory over that of the reference
    error: Mapping[str, float] = dataclasses.field(default_factory=dict)  # by what is wrong: relative, against float64
    limit: float | None = None  # of every error
    tflops: float | None = None  # of the products that nobody can avoid, 10^12 a second
    floor_seconds: float | None = None  # what the machine allows
    of_floor: float | None = None  # floor over time: 1 is perfect
    gigabytes: float | None = None  # moved a second, 10^9
    load: float | None = None  # of the machine when it was measured

    @property
    def worst(self) -> float | None:
        return max(self.error.values()) if self.error else None

    @property
    def right(self) -> bool:
        return self.limit is None or all(error <= self.limit for error in self.error.values())


class Recorder:
    """Writes everything so far after each row, so that a run that breaks off leaves what it had."""

    def __init__(self, path: Path | None, *, device: str, arguments: Mapping[str, Any]):
        self.path, self.rows = path, list[Row]()
        self.content: dict[str, Any] = {
            "format": FORMAT,
            "complete": False,
            "arguments": dict(arguments),
            "environment": environment(device),
        }
        self._write()

    def add(self, row: Row) -> Row:
        self.rows.append(row)
        self._write()
        return row

    def finish(self) -> None:
        self.content |= {"complete": True, "load_after": load()}
        self._write()

    def _write(self) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [dataclasses.asdict(row) for row in self.rows]
        unfinished = self.path.with_suffix(".tmp")
        unfinished.write_text(json.dumps({**self.content, "rows": rows}, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.path)


def environment(device: str) -> dict[str, Any]:
    """Where figures come from: machine, versions, commit, date, threads and load."""
    about: dict[str, Any] = {
        "device": device,
        "cpu": _cpu(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": load(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    if device == "cuda":
        of_gpu = torch.cuda.get_device_properties(0)
        about |= {"gpu": of_gpu.name, "gpu_bytes": of_gpu.total_memory, "multiprocessors": of_gpu.multi_processor_count}
        about |= {"compute_capability": f"{of_gpu.major}.{of_gpu.minor}", "cuda": torch.version.cuda}
    return about


def load() -> float:
    """How many programs wanted to run, over the last minute."""
    return round(os.getloadavg()[0], 2)


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str | None:
    """The commit, with a + where files differ from it."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
