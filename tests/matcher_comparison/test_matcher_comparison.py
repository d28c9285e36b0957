"""The comparison of matchers: figures held against definitions, and the whole of it in a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import occmask
from occmask.cli import main
from occmask.evaluation.bootstrap import Bootstrap
from occmask.evaluation.recognition import Verification
from occmask.matcher_comparison.figures import Run, tabulate
from occmask.matcher_comparison.settings import MEANS


def _runs(seed: int = 0, *, better: float = 0.5) -> list[Run]:
    """Two folds, two seeds, 4 people of 3 pictures; entry "b" scores genuine pairs higher by `better`."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(4), 3)
    same = label[:, None] == label
    runs = []
    for fold in range(2):
        for again in range(2):
            scores = {}
            for condition in ("clean", "area_40", "area_50"):
                base = rng.normal(size=(12, 12)) + same
                scores[condition] = {"a": base, "b": base + better * same}
            runs.append(Run(fold, again, label, scores))
    return runs


def test_the_figures_are_those_of_the_definitions() -> None:
    runs = _runs()
    table = tabulate(runs, people_per_fold=[4, 4], bootstrap=Bootstrap(resamples=3))
    found = []
    for run in runs:
        score = run.scores["clean"]["a"]
        same, off = run.label[:, None] == run.label, ~np.eye(12, dtype=bool)
        genuine, impostor = score[same & off], score[~same]
        found.append((genuine[:, None] > impostor).mean() + (genuine[:, None] == impostor).mean() / 2)
    assert table.estimate("a", "clean", "auc").value == pytest.approx(np.mean(found))
    hits = []
    for run in runs:
        for probe in range(12):
            others = np.where(np.arange(12) == probe, -np.inf, run.scores["clean"]["a"][:, probe])
            hits.append(run.label[others.argmax()] == run.label[probe])
    rank1 = np.mean(hits)
    assert table.estimate("a", "clean", "rank1").value == pytest.approx(rank1)


def test_the_area_is_that_of_the_protocol_of_verification() -> None:
    rng = np.random.default_rng(1)
    label = np.repeat(np.arange(5), 4)
    left, right = rng.normal(size=(20, 8)), rng.normal(size=(20, 8))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (left, right)]
    run = Run(0, 0, label, {"clean": {"a": unit[0] @ unit[1].T}})
    table = tabulate([run], people_per_fold=[5], bootstrap=Bootstrap(resamples=2))
    found = Verification(fars=(0.1,))(left, label, right, label, excluded=np.eye(20, dtype=bool))
    assert table.estimate("a", "clean", "auc").value == pytest.approx(found.auc.value)


def test_a_difference_that_is_there_is_seen_and_won_in_every_fold() -> None:
    table = tabulate(_runs(better=2.0), people_per_fold=[4, 4], bootstrap=Bootstrap(resamples=50))
    difference, won = table.difference("b", "a", "area_40", "auc")
    assert difference.low > 0
    assert won == 2
    difference, won = table.difference("b", "a", "area_40_50", "auc")
    assert difference.low > 0


def test_a_difference_that_is_not_there_is_not_seen() -> None:
    difference, won = tabulate(_runs(better=0.0), people_per_fold=[4, 4], bootstrap=Bootstrap(resamples=20)).difference(
        "b", "a", "area_40", "tar"
    )
    assert tuple(difference) == (0, 0, 0)
    assert won == 0


def test_a_mean_over_conditions_is_there_only_when_all_of_them_are() -> None:
    table = tabulate(_runs(), people_per_fold=[4, 4], bootstrap=Bootstrap(resamples=2))
    assert "area_40_50" in table.conditions
    assert "occluded" not in table.conditions
    members = [table.estimate("a", c, "auc").value for c in MEANS["area_40_50"]]
    assert table.estimate("a", "area_40_50", "auc").value == pytest.approx(np.mean(members))


@pytest.mark.slow
def test_the_command_runs_and_goes_on_from_what_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare-matchers", "orl", "--out", str(tmp_path), "--steps", "2", "--only-folds", "2", "--seeds", "1"]
    assert main([*words, "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "fused, no visibility" in shown
    assert "TAR at FAR" in shown
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["settings"]["folds"] == 2
    assert set(results["figures"]["fused"]["clean"]) == {"auc", "tar", "rank1"}
    weights = tmp_path / "fold-0-seed-0" / "occupancy.safetensors"
    control = occmask.load_model(tmp_path / "fold-0-seed-0" / "control.safetensors")
    seeing = occmask.load_model(weights)
    assert control.config.head is None
    assert seeing.config.head is not None
    made = weights.stat().st_mtime_ns
    assert main([*words, "--quiet", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    for entry, conditions in results["figures"].items():
        for condition, metrics in conditions.items():
            for metric, figure in metrics.items():  # a model that was read back has its weights in another order
                assert again["figures"][entry][condition][metric] == pytest.approx(figure, abs=2e-3)
    assert weights.stat().st_mtime_ns == made
