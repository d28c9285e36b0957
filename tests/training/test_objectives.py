"""Objectives: what a step minimises, with parameters of their own, clean faces, and a last word."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import occmask
from occmask import Spec
from occmask.data.faces import FaceSet
from occmask.models.files import read_tensors
from occmask.training import loop
from occmask.training.recipe import recipe_named

QUICK = {"batch_size": 4, "epochs": 2, "checkpoint_every": 2, "log_every": 1, "schedule": Spec("cosine")}


class Reconstruct(nn.Module):
    """Tell the clean face's mean colour from the embedding: needs clean faces, and has weights of its own."""

    needs_clean = True
    finishing_batches = 2

    def __init__(self, model, loss, recipe, *, weight: float = 1.0):
        super().__init__()
        self.colour = nn.Linear(model.width, 3)
        self.weight = weight
        self.finished = []

    def forward(self, model, loss, batch):
        output = model(batch.image)
        wanted = batch.clean.mean((2, 3))
        term = (self.colour(output.embedding) - wanted).square().mean()
        return occmask.Losses(self.weight * term, {"colour": term})

    def finish(self, model, batches):
        assert not model.training
        assert not torch.is_grad_enabled()
        self.finished.append([batch.label.tolist() for batch in batches])
        made.append(self)


made: list[Reconstruct] = []


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(occmask.OBJECTIVES._loaded, "reconstruct", Reconstruct)
    made.clear()


def faces():
    rng = np.random.default_rng(0)
    return FaceSet.from_arrays(rng.integers(0, 256, (12, 32, 32, 3)).astype(np.uint8), np.repeat(np.arange(3), 4))


def run(recipe, **options):
    torch.manual_seed(0)
    model = occmask.build("from_tiny", image_size=(32, 32), head=None)
    loss = occmask.build_loss("cosface", embedding_dim=128, num_classes=3, scale=16.0)
    summary = occmask.train(model, loss, faces(), recipe, progress=False, **options)
    return model, loss, summary


RECIPE = recipe_named("augmented", objective="reconstruct", **QUICK)


def test_an_objective_trains_its_own_weights_and_logs_its_own_terms(tmp_path):
    _, loss, summary = run(RECIPE, out=tmp_path)
    torch.manual_seed(0)
    untouched = occmask.build_loss("cosface", embedding_dim=128, num_classes=3, scale=16.0)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all(line["colour_loss"] > 0 and "accuracy" not in line for line in lines)
    assert np.isnan(summary.accuracy)
    assert loss.weight.shape == untouched.weight.shape
    assert "training.objective.colour.weight" in read_tensors(tmp_path / "last.safetensors")[0]


def test_an_interrupted_run_ends_like_an_uninterrupted_one_with_the_objective_s_weights(tmp_path, monkeypatch):
    run(RECIPE, out=tmp_path / "whole")
    real = loop.training_step

    def cut(*args, index, **kwargs):
        if index == 3:
            raise KeyboardInterrupt
        return real(*args, index=index, **kwargs)

    monkeypatch.setattr(loop, "training_step", cut)
    with pytest.raises(KeyboardInterrupt):
        run(RECIPE, out=tmp_path / "cut")
    monkeypatch.setattr(loop, "training_step", real)
    run(RECIPE, out=tmp_path / "cut", resume=True)
    whole, again = (read_tensors(tmp_path / name / "last.safetensors")[0] for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_the_last_word_comes_once_with_batches_that_no_step_has_seen(tmp_path):
    run(RECIPE, out=tmp_path)
    assert [len(batches) for batches in made[0].finished] == [2]
    run(RECIPE, out=tmp_path, resume=True)  # it was finished: nothing is counted twice
    assert len(made) == 1


def test_clean_faces_are_the_covered_ones_without_the_cover():
    seen = []

    class Watch(Reconstruct):
        def forward(self, model, loss, batch):
            seen.append(batch)
            return super().forward(model, loss, batch)

    occmask.OBJECTIVES._loaded["reconstruct"] = Watch
    run(RECIPE)
    for batch in seen:
        outside = ~batch.truth.covered[:, None].expand_as(batch.image)
        same = batch.clean == batch.image
        # A cover's soft edge counts as covered from a half on, so a few pixels outside may differ.
        assert same[outside].float().mean() > 0.9
    hidden = [(batch.clean != batch.image)[batch.truth.covered[:, None].expand_as(batch.image)] for batch in seen]
    assert torch.cat(hidden).float().mean() > 0.9


def test_resuming_with_another_objective_is_refused(tmp_path):
    run(RECIPE.override(epochs=1), out=tmp_path)
    with pytest.raises(occmask.CheckpointError, match="objective was"):
        run(RECIPE.override(epochs=1, objective=Spec("reconstruct", weight=2.0)), out=tmp_path, resume=True)


def test_something_that_is_no_objective_is_refused_by_name():
    occmask.OBJECTIVES._loaded["reconstruct"] = lambda model, loss, recipe: nn.Identity()
    with pytest.raises(occmask.TrainingError, match=r"'reconstruct'.*needs_clean"):
        run(RECIPE)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"parts": ("heads",)}, "parts is a list of some of restorer"),
        ({"freezes": "backbone"}, "freezes is a list"),
        ({"occluders": "cup"}, r"such as \['cup'\]"),
        ({"occluders": ()}, "at least one"),
    ],
)
def test_recipes_refuse_what_they_cannot_mean(changes, words):
    with pytest.raises(occmask.OptionError, match=words):
        recipe_named("from", **changes)


def test_freezing_everything_says_so():
    recipe = recipe_named("augmented", freezes=("backbone", "embedding", "classifier"), **QUICK)
    with pytest.raises(occmask.OptionError, match="freezes everything"):
        run(recipe)


def test_frozen_parts_are_free_again_afterwards():
    model, loss, _ = run(recipe_named("augmented", freezes=("backbone", "classifier"), **QUICK))
    assert all(parameter.requires_grad for parameter in (*model.parameters(), *loss.parameters()))
    assert not model.training
    assert not loss.training
