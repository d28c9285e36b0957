"""The comparison of methods: complete, resumable, and robust to a method that fails."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import occmask
from occmask.comparison import ComparisonSettings, run_comparison
from occmask.comparison.settings import in_training_order
from occmask.data.faces import FaceSet
from occmask.training.methods import method_named


def faces(people=20, each=4):  # fewer impostor pairs could not resolve the FAR
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (people, 1, 112, 96, 3))
    pictures = np.clip(base + rng.integers(-30, 30, (people, each, 112, 96, 3)), 0, 255).astype(np.uint8)
    return FaceSet.from_arrays(pictures.reshape(-1, 112, 96, 3), np.repeat(np.arange(people), each))


def broken():
    raise RuntimeError("no luck")


def stumbling():
    method = method_named("from")

    def model(config):
        raise ValueError("this one stumbles")

    return type(method)(summary="stumbles", family="remove features", model=model, stages=method.stages)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("comparison")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(occmask.METHODS._loaded, "broken", broken)
        patch.setitem(occmask.METHODS._loaded, "stumbling", stumbling)
        settings = ComparisonSettings(
            out=out, methods=("from", "stumbling", "broken"), steps=2, seeds=2, gallery=2, progress=False
        )
        table = run_comparison(settings, faces(), data="made-up faces", command="a test")
    return settings, table, json.loads((out / "results.json").read_text())


@pytest.mark.slow
def test_a_method_brings_along_what_it_starts_from_and_its_control(finished):
    _, table, results = finished
    assert set(results["methods"]) == {"baseline", "augmented", "from"}
    assert "augmented" in table or "covered training" in table
    found = results["methods"]["from"]
    assert found["added_parameters"] > 0
    assert set(found["occlusion"]) == set(results["conditions"])
    assert results["methods"]["augmented"]["occlusion"] == {}
    assert len(found["identification"]["area_40"]["rank1"]["values"]) == 2
    rows = {(row["method"], row["against"]) for row in results["comparisons"]}
    assert rows == {("from", "augmented"), ("from", "baseline"), ("augmented", "baseline")}


@pytest.mark.slow
def test_methods_that_fail_are_reported_with_their_reason_and_cost_the_others_nothing(finished):
    missing = {entry["method"]: entry["reason"] for entry in finished[2]["missing"]}
    assert "no luck" in missing["broken"]
    assert "this one stumbles" in missing["stumbling"]


@pytest.mark.slow
def test_pages_and_weights_are_written(finished):
    settings, _, _ = finished
    assert "made-up faces" in (settings.out / "methods.html").read_text()
    assert "from" in (settings.out / "methods.md").read_text()
    assert occmask.load_model(settings.out / "weights" / "from.safetensors").head is not None


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_ends_with_the_same_figures(finished):
    settings, _, results = finished
    shutil.rmtree(settings.out / "seed-1" / "from")
    run_comparison(settings, faces(), data="made-up faces", command="a test")
    again = json.loads((settings.out / "results.json").read_text())
    for name, found in results["methods"].items():
        assert again["methods"][name]["identification"] == found["identification"]
        assert again["methods"][name]["occlusion"] == found["occlusion"]


def test_the_order_puts_what_is_needed_first_and_refuses_circles():
    needed = {"c": ("a", "b"), "b": ("a", None), "a": (None, None)}
    assert in_training_order(["c"], needed) == ["a", "b", "c"]
    with pytest.raises(occmask.OptionError, match="circle: a -> b -> a"):
        in_training_order(["a"], {"a": ("b",), "b": ("a",)})


@pytest.mark.parametrize(
    "change, words",
    [
        ({"methods": ("form",)}, "no method is called 'form'. Did you mean 'from'"),
        ({"budget": "tiny"}, "no budget is called 'tiny'"),
        ({"seeds": 0}, "seeds is a positive whole number"),
    ],
)
def test_settings_that_cannot_work_say_what_would(change, words, tmp_path):
    with pytest.raises(occmask.OccmaskError, match=words):
        ComparisonSettings(out=tmp_path, **change)


def test_a_test_set_that_cannot_resolve_the_far_is_refused_before_anything_is_trained(tmp_path):
    settings = ComparisonSettings(out=tmp_path, methods=("baseline",), gallery=2, progress=False)
    with pytest.raises(occmask.ProtocolError, match="cannot resolve FAR"):
        run_comparison(settings, faces(people=3), data="made-up faces", command="a test")
    assert not list(tmp_path.glob("seed-*"))
