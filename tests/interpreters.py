"""Fresh interpreters for tests: this tree, some folders before it, and none of the plug-ins that may be installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_ALONE = ROOT / "tests/fixtures/alone"


def environment(*paths: Path, plugins: str | None = None) -> dict[str, str]:
    """For a subprocess; `plugins` is OCCMASK_PLUGINS (None: not set)."""
    found = {key: value for key, value in os.environ.items() if key != "OCCMASK_PLUGINS"}
    found["PYTHONPATH"] = os.pathsep.join(map(str, (_ALONE, *paths, ROOT, ROOT / "kernels")))
    found["HIDDEN_DISTRIBUTIONS"] = ",".join(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
    return found if plugins is None else {**found, "OCCMASK_PLUGINS": plugins}


def python(*words: str, paths: tuple[Path, ...] = (), plugins: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with these words, away from the repository."""
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env=environment(*paths, plugins=plugins),
        cwd="/",
        timeout=300,
    )
