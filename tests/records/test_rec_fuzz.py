"""Thousands of damaged and hostile files of each format: every one is read, or refused with a reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MUTATIONS = 2000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures memory as Linux tells it")
@pytest.mark.parametrize("kind", ["rec", "idx", "lst", "property", "bin"])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path: Path, kind: str) -> None:
    script = Path(__file__).with_name("fuzzing.py")
    run = subprocess.run(
        [sys.executable, str(script), kind, "1", str(MUTATIONS), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    outcomes = json.loads(run.stdout)
    assert outcomes["opened"] + outcomes.get("refused", 0) == MUTATIONS
    assert outcomes["opened"] > 20
    assert kind == "lst" or outcomes["refused"] > 20  # without the names of a .lst, records are numbered
    assert not (tmp_path / "canary").exists()
