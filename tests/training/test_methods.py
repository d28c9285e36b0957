"""Methods: whole answers to occlusion by name, under one budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import occmask
from occmask import Method, Spec, Stage
from occmask.data.faces import FaceSet
from occmask.training.budgets import PUBLISHED, SMALL, Budget
from occmask.training.methods import method_named, stage_recipe, train_method

MARGIN = Spec("cosface", scale=16.0, margin=0.2)
BASE = occmask.MODELS["from_tiny"]().override(image_size=(32, 32))
QUICK = replace(SMALL, first_steps=2, more_steps=2, common={**SMALL.common, "batch_size": 4})
OURS = [name for name in occmask.METHODS if occmask.METHODS.is_builtin(name)]


def faces():
    rng = np.random.default_rng(0)
    return FaceSet.from_arrays(rng.integers(0, 256, (12, 32, 32, 3)).astype(np.uint8), np.repeat(np.arange(3), 4))


def trained(name, **options):
    return train_method(name, faces(), base=BASE, margin=MARGIN, budget=QUICK, progress=False, **options)


def test_every_method_of_ours_trains_on_what_the_baseline_left():
    baseline = trained("baseline")
    for name in OURS:
        if name == "baseline":
            continue
        method = trained(name, start=baseline)
        assert method.steps == (3 if name in ("frozen", "retrofit") else 2)
        assert (method.model.head is None) == (name in ("augmented", "frozen"))
        unchanged = torch.equal(method.model.backbone.conv1.weight, baseline.model.backbone.conv1.weight)
        assert unchanged == (name in ("frozen", "retrofit"))


@pytest.mark.parametrize("name", OURS)
def test_a_control_and_a_start_are_methods_too(name):
    method = method_named(name)
    assert all(other in occmask.METHODS for other in (method.control, method.starts_from) if other is not None)
    assert method.summary
    assert occmask.describe("method", name).summary


def test_methods_of_one_start_see_the_same_faces_and_spend_the_same_steps():
    recipes = [
        stage_recipe(method_named(n), 0, SMALL, num_faces=200, seed=3) for n in ("augmented", "from", "from_deep")
    ]
    assert len({(recipe.seed, recipe.num_steps(200), recipe.clean_share, recipe.batch_size) for recipe in recipes}) == 1


def test_stages_share_the_budget_and_have_their_own_seeds():
    method = replace(method_named("from"), stages=(Stage(recipe="from", share=0.25), Stage(recipe="from", share=0.75)))
    one, two = (stage_recipe(method, i, SMALL, num_faces=200, seed=0) for i in range(2))
    assert (one.num_steps(200), two.num_steps(200)) == (75, 225)
    assert one.seed != two.seed


def test_what_a_stage_wants_yields_to_the_budget_except_for_small_faces():
    stage = Stage(recipe="from", settings={"batch_size": 7, "clean_share": 0.5}, small={"weight_decay": 0.0})
    method = replace(method_named("from"), stages=(stage,))
    small = stage_recipe(method, 0, SMALL, num_faces=200, seed=0)
    assert (small.batch_size, small.clean_share, small.weight_decay) == (32, 0.5, 0.0)
    large = stage_recipe(method, 0, PUBLISHED, num_faces=200, seed=0)
    assert (large.batch_size, large.clean_share, large.weight_decay) == (7, 0.5, 5e-4)
    assert large.epochs == 40


def test_a_method_without_its_start_says_what_to_train():
    with pytest.raises(occmask.OptionError, match="starts from 'baseline'; train that first"):
        trained("from")
    with pytest.raises(occmask.OptionError, match="starts from nothing"):
        trained("baseline", start=trained("baseline"))


def test_a_base_without_from_s_head_is_refused():
    with pytest.raises(occmask.OptionError, match="'from_tiny' or 'from_r50'"):
        train_method(
            "from",
            faces(),
            base=BASE.override(head=None),
            margin=MARGIN,
            budget=QUICK,
            start=trained("baseline"),
        )


def test_class_weights_start_fresh_where_the_embedding_is_wider(monkeypatch):
    def with_part() -> Method:
        return replace(
            method_named("augmented"),
            model=lambda config: config.override(head=None, part_locator="fixed"),
            stages=(Stage(recipe="augmented", settings={"parts": ("part_locator",)}),),
        )

    monkeypatch.setitem(occmask.METHODS._loaded, "with_part", with_part)
    method = trained("with_part", start=trained("baseline"))
    assert method.loss.weight.shape == (3, 256)


@pytest.mark.parametrize("option", ["first_steps", "more_steps"])
def test_a_budget_counts_whole_steps(option):
    with pytest.raises(occmask.OptionError, match=option):
        Budget(**{option: 0})
