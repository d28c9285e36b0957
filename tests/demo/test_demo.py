"""The demo cut short: every file is there and says what the page promises; no figure of it means anything."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import occmask
from occmask.demo import DemoSettings, run_demo
from occmask.demo.settings import ALL_RECIPES, CONTROLS, TRAINED, demo_recipe
from occmask.occluders.conditions import CONDITIONS
from occmask.report.figures import ORANGE


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    settings = DemoSettings(out=out, recipes=ALL_RECIPES, steps=2, seeds=2, folds=True, progress=False)
    return out, run_demo(settings)


@pytest.mark.slow
def test_results_hold_every_method_condition_and_figure_with_its_interval(demo):
    out, _ = demo
    results = json.loads((out / "results.json").read_text())
    assert set(results["methods"]) == set(ALL_RECIPES)
    for name, method in results["methods"].items():
        wanted = [("identification", "rank1"), ("verification", "auc"), ("verification", "tar")]
        wanted += [("verification_unseen", "auc"), ("verification_unseen", "tar")]
        wanted += [] if name in ("baseline", "augmented", "frozen") else [("occlusion", "iou")]
        for section, metric in wanted:
            for condition in CONDITIONS:
                figure = method[section][condition][metric]
                assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
                assert len(figure["values"]) == (4 if section == "verification_unseen" else 2)
                assert figure["value"] == pytest.approx(np.mean(figure["values"]))
    fixed = results["controls"]["fixed_box"]["occlusion"]
    assert fixed["clean"]["iou"]["value"] == 1
    assert 0.3 < fixed["area_40"]["iou"]["value"] < fixed["area_50"]["iou"]["value"] < 1
    compared = {(c["method"], c["against"]) for c in results["comparisons"]}
    assert compared == {("from", "baseline"), ("augmented_fused", "augmented"), *CONTROLS.items()}


@pytest.mark.slow
def test_the_pictures_and_the_page_show_what_was_found(demo):
    out, table = demo
    with Image.open(out / "occlusions.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3).astype(int)
        assert sheet.width > 1000
    assert (np.abs(pixels - ORANGE).sum(1) < 30).any()
    with Image.open(out / "coverage.png") as sheet:
        assert sheet.width > 1000
    page = (out / "report.html").read_text()
    results = json.loads((out / "results.json").read_text())
    value = results["methods"]["from"]["identification"]["area_40"]["rank1"]["value"]
    assert f"{100 * value:.1f}" in page
    assert f"{100 * value:.1f}" in table
    assert "AT&amp;T Laboratories Cambridge" in page
    assert 'src="http' not in page


@pytest.mark.slow
def test_the_trained_models_can_be_used_afterwards(demo):
    out, _ = demo
    for name in (*TRAINED, "augmented_fused"):
        model = occmask.load_model(out / "weights" / f"{name}.safetensors")
        assert (model.head is None) == (name in ("baseline", "augmented", "frozen"))


def test_a_method_is_never_shown_without_its_control():
    assert DemoSettings(recipes=("from",)).recipes == ("baseline", "augmented", "from")
    assert DemoSettings(recipes=("retrofit",)).recipes == ("baseline", "frozen", "retrofit")


def test_second_stages_see_the_same_faces_and_the_first_others():
    recipes = {name: demo_recipe(name, num_faces=200, seed=3, steps=None) for name in TRAINED}
    assert recipes["from"].seed == recipes["augmented"].seed != recipes["baseline"].seed
    assert recipes["from"].num_steps(200) == recipes["augmented"].num_steps(200)
    assert recipes["retrofit"].num_steps(200) == recipes["frozen"].num_steps(200)
    for name, control in CONTROLS.items():
        if control != "baseline" and name in recipes:
            assert recipes[name].optimiser == recipes[control].optimiser
            assert recipes[name].clean_share == recipes[control].clean_share


def test_settings_are_checked():
    with pytest.raises(occmask.UnknownNameError, match="all"):
        DemoSettings(recipes=("nothing",))
    with pytest.raises(occmask.OptionError, match="seeds is a positive"):
        DemoSettings(seeds=0)


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(occmask.DataError, match="choose another with --out"):
        run_demo(DemoSettings(out=tmp_path / "file" / "demo"))
