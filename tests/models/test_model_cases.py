"""The model benchmark: its arithmetic, and that the contenders compute the same."""

from __future__ import annotations

import json

import pytest
import torch

import occmask
from benchmarks import model_cases
from occmask.models.published import read_published


def test_a_ratio_is_the_median_over_rounds_and_not_over_runs():
    seconds = {"slow": [2.0, 8.0, 3.0], "fast": [1.0, 2.0, 3.0]}
    found = model_cases.ratio(seconds, "fast", "slow")
    assert (found.low, found.median, found.high) == (1.0, 2.0, 4.0)
    assert found.fastest == 2.0


def test_every_contender_runs_once_a_round_and_none_is_always_first():
    order = []
    contenders = {name: (lambda name=name: order.append(name)) for name in "abc"}
    seconds = model_cases.race(contenders, rounds=3, warm_up=1)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize("options", [{"head": None}, {"mask_decoder": "deep"}, {}], ids=str)
def test_what_was_never_published_is_compared_with_itself_only(options):
    assert model_cases.published_like(occmask.build("from_tiny", **options)) is None


def test_measured_figures_are_plain_data_and_can_be_read():
    threads = torch.get_num_threads()
    try:
        measured = model_cases.measure("from_tiny", batch=2, rounds=2, threads=1)
    finally:
        torch.set_num_threads(threads)
    assert json.loads(json.dumps(measured)) == measured
    assert list(measured["seconds"]) == ["evaluation", "optimized"]
    assert "optimized is" in model_cases.report(measured)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["from_r18", "from_r50_spatial"])
def test_the_published_contender_has_the_layers_of_the_model(model):
    theirs = model_cases.published_like(occmask.build(model))
    state = {f"module.{name}": value for name, value in theirs.state_dict().items()}
    ours = read_published(state, "here").tensors
    assert set(ours) == set(occmask.build(model).state_dict())
