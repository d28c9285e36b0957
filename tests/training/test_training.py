"""Training: resuming, being killed, diverging, and settings that cannot work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

import occmask
from occmask import Spec
from occmask.data.faces import FaceSet
from occmask.models.files import read_tensors
from occmask.training import RECIPES
from occmask.training.loop import train
from occmask.training.objectives import names_people
from occmask.training.optimisation import build_optimiser, set_learning_rate
from occmask.training.recipe import recipe_named

QUICK = {"batch_size": 4, "epochs": 3, "checkpoint_every": 2, "log_every": 1, "schedule": Spec("cosine")}


def some_faces(people=3, each=4, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (people, 1, 32, 32, 3))
    pictures = np.clip(base + rng.integers(-30, 30, (people, each, 32, 32, 3)), 0, 255).astype(np.uint8)
    return FaceSet.from_arrays(pictures.reshape(-1, 32, 32, 3), np.repeat(np.arange(people), each))


def fresh(recipe, people=3, **options):
    torch.manual_seed(0)
    head = {} if recipe.parts else {"head": None}
    if recipe.objective.name == "occlusion":
        head = {"head": Spec("occupancy", gate=Spec("from", width=8))}
    model = occmask.build("from_tiny", image_size=(32, 32), **head, **options)
    if not names_people(recipe.objective):
        return model, None
    return model, occmask.build_loss("cosface", embedding_dim=128, num_classes=people, scale=16.0)


def run(recipe, **options):
    model, loss = fresh(recipe)
    train(model, loss, some_faces(), recipe, progress=False, **options)
    return model, loss


class Interrupted(Exception):
    """Our stand-in for a power cut."""


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES.is_builtin(name)])
@pytest.mark.parametrize("optimiser", [Spec("sgd", learning_rate=0.05), Spec("adamw", learning_rate=1e-3)])
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(name, optimiser, tmp_path, monkeypatch):
    recipe = recipe_named(name, optimiser=optimiser, **QUICK)
    whole, whole_loss = run(recipe, out=tmp_path / "whole")

    from occmask.training import loop

    real, steps = loop.training_step, []

    def cut_at_step_six(*args, index, **kwargs):
        if index == 5:
            raise Interrupted
        steps.append(index)
        return real(*args, index=index, **kwargs)

    monkeypatch.setattr(loop, "training_step", cut_at_step_six)
    with pytest.raises(Interrupted):
        run(recipe, out=tmp_path / "cut")
    monkeypatch.setattr(loop, "training_step", real)
    torch.manual_seed(123)  # another process has other random numbers
    resumed, resumed_loss = run(recipe, out=tmp_path / "cut", resume=True)
    ends = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in ends)
    if whole_loss is not None:
        assert torch.equal(whole_loss.weight, resumed_loss.weight)
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 10))


def test_a_checkpoint_is_also_a_model(tmp_path):
    model, _ = run(recipe_named("from", **QUICK), out=tmp_path)
    again = occmask.load_model(tmp_path / "last.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_baseline_s_checkpoint_starts_the_second_stage(tmp_path):
    first, first_loss = run(recipe_named("baseline", **QUICK), out=tmp_path)
    model, loss = fresh(recipe_named("from", **QUICK))
    report = occmask.load_weights(model, tmp_path / "last.safetensors", loss=loss, only=("backbone", "embedding"))
    assert torch.equal(model.backbone.conv1.weight, first.backbone.conv1.weight)
    assert torch.equal(loss.weight, first_loss.weight)
    assert report.missing
    assert all(name.startswith("head.") for name in report.missing)


KILLED = """
import sys
sys.path.insert(0, {here!r})
from test_training import *
run(recipe_named("from", **{{**QUICK, "epochs": 600, "checkpoint_every": 1}}), out=sys.argv[1], resume=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.0, 0.13, 0.37])
def test_sigkill_at_any_moment_leaves_a_readable_checkpoint_and_loses_one_interval_at_most(moment, tmp_path):
    out = tmp_path / "run"
    code = KILLED.format(here=os.path.dirname(__file__))
    process = subprocess.Popen([sys.executable, "-c", code, str(out)])
    try:
        deadline = time.monotonic() + 120
        while not (out / "last.safetensors").exists() or steps_done(out) < 5:
            assert process.poll() is None, "training ended by itself"
            assert time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.05)
        time.sleep(moment)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    logged = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines() if line.endswith("}")]
    saved = steps_done(out)
    assert saved >= 5
    assert max(logged) - saved <= 1
    assert occmask.load_model(out / "last.safetensors").head is not None
    assert not [path for path in out.iterdir() if path.suffix == ".safetensors" and path.name != "last.safetensors"]


def steps_done(out):
    return int(read_tensors(out / "last.safetensors")[1]["steps_done"])


def test_a_loss_that_is_not_finite_stops_naming_the_step_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    recipe = recipe_named("from", **QUICK)
    model, loss = fresh(recipe)
    real, calls = model.occlusion_loss, []

    def nan_at_the_fourth(output, truth):
        calls.append(1)
        return real(output, truth) * (float("nan") if len(calls) == 4 else 1.0)

    monkeypatch.setattr(model, "occlusion_loss", nan_at_the_fourth)
    with pytest.raises(occmask.TrainingError, match=r"loss is nan at step 4 of recipe 'from'") as e:
        train(model, loss, some_faces(), recipe, out=tmp_path, progress=False)
    assert "\n" not in str(e.value)
    assert steps_done(tmp_path) == 2
    kept = occmask.load_model(tmp_path / "last.safetensors")
    assert all(torch.isfinite(value).all() for value in kept.state_dict().values())


def test_a_gradient_that_is_not_finite_stops_too(monkeypatch):
    recipe = recipe_named("baseline", clip_gradient=1.0, **QUICK)
    model, loss = fresh(recipe)
    loss.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = model.backbone.conv1.weight.clone()
    with pytest.raises(occmask.TrainingError, match="gradient is"):
        train(model, loss, some_faces(), recipe, progress=False)
    assert torch.equal(model.backbone.conv1.weight, before)


@pytest.mark.parametrize("name", ["retrofit", "frozen"])
def test_a_frozen_trunk_keeps_weights_and_statistics_while_the_rest_learns(name):
    recipe = recipe_named(name, **QUICK)
    model, loss = fresh(recipe)
    trunk = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    rest = {key: value.clone() for key, value in model.embedding.named_parameters()}
    train(model, loss, some_faces(), recipe, progress=False)
    assert all(torch.equal(value, trunk[key]) for key, value in model.backbone.state_dict().items())
    assert not any(torch.equal(value, rest[key]) for key, value in model.embedding.named_parameters())


def test_the_control_sees_the_same_covered_faces_as_from(monkeypatch):
    from occmask.training import loop

    seen: dict[str, list[torch.Tensor]] = {"augmented": [], "from": [], "baseline": []}
    real = loop.training_step

    def watch(model, loss, objective, optimiser, batch, recipe, *, index):
        seen[recipe.name].append((batch.image.clone(), batch.truth.box.clone()))
        return real(model, loss, objective, optimiser, batch, recipe, index=index)

    monkeypatch.setattr(loop, "training_step", watch)
    for name in seen:
        run(recipe_named(name, **QUICK))
    pairs = zip(seen["augmented"], seen["from"], strict=True)
    assert all(torch.equal(a, b) and torch.equal(x, y) for (a, x), (b, y) in pairs)
    assert any(box.any() for _, box in seen["from"])
    assert not any(box.any() for _, box in seen["baseline"])


def test_training_learns_whose_face_it_is():
    recipe = recipe_named(
        "baseline", batch_size=6, epochs=20, optimiser=Spec("sgd", learning_rate=0.02), schedule=Spec("cosine")
    )
    model, loss = fresh(recipe)
    faces = some_faces()
    summary = train(model, loss, faces, recipe, progress=False)
    assert summary.accuracy > 0.9
    assert not model.training


def test_the_head_has_a_learning_rate_of_its_own_and_both_follow_the_schedule():
    recipe = recipe_named("from", parts_learning_rate=0.3, optimiser=Spec("sgd", learning_rate=0.1), **QUICK)
    model, loss = fresh(recipe)
    optimiser = build_optimiser(
        recipe.optimiser, model, loss, nn.Identity(), parts_learning_rate=0.3, weight_decay=5e-4
    )
    trunk, head = optimiser.param_groups
    assert {id(p) for p in head["params"]} == {id(p) for p in model.head.parameters()}
    assert len(trunk["params"]) + len(head["params"]) == len([*model.parameters(), *loss.parameters()])
    rates = []
    for index in range(10):
        set_learning_rate(optimiser, Spec("cosine"), index=index, total=10, warm_up=0.2)
        rates.append((trunk["lr"], head["lr"]))
    assert all(abs(h - 3 * t) < 1e-12 for t, h in rates)
    assert rates[0][0] == pytest.approx(0.05)
    assert rates[1][0] > rates[0][0]
    assert rates[1][0] > rates[5][0] > rates[9][0] > 0


def test_the_step_schedule_drops_where_it_says():
    model, loss = fresh(recipe_named("baseline"))
    optimiser = build_optimiser(
        Spec("sgd", learning_rate=1.0), model, loss, nn.Identity(), parts_learning_rate=None, weight_decay=0.0
    )
    rates = []
    for index in range(8):
        set_learning_rate(optimiser, Spec("step", at=(0.25, 0.75), factor=0.1), index=index, total=8, warm_up=0)
        rates.append(round(optimiser.param_groups[0]["lr"], 6))
    assert rates == [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]


def one_person():
    return some_faces(people=1)


@pytest.mark.parametrize(
    "faces, change, error, words",
    [
        (one_person, {}, occmask.TrainingError, "at least 2 people"),
        (lambda: some_faces(people=4), {}, occmask.OptionError, "num_classes=4"),
        (lambda: some_faces(people=4).select(range(4, 16)), {}, occmask.OptionError, r"faces\.relabel\(\)"),
        (some_faces, {"device": "warp9"}, occmask.OptionError, "use 'cpu'"),
    ],
)
def test_runs_that_cannot_work_say_what_would(faces, change, error, words):
    recipe = recipe_named("baseline", **QUICK)
    model, loss = fresh(recipe)
    with pytest.raises(error, match=words):
        train(model, loss, faces(), recipe, progress=False, **change)


def test_recipe_and_model_must_agree_about_the_head():
    model, loss = fresh(recipe_named("baseline"))
    with pytest.raises(occmask.OptionError, match="build the model with one"):
        train(model, loss, some_faces(), recipe_named("from", **QUICK), progress=False)
    model, loss = fresh(recipe_named("from"))
    with pytest.raises(occmask.OptionError, match="head=None"):
        train(model, loss, some_faces(), recipe_named("baseline", **QUICK), progress=False)


def test_a_finished_folder_is_not_written_over_and_another_recipe_is_not_resumed(tmp_path):
    run(recipe_named("baseline", **QUICK), out=tmp_path)
    with pytest.raises(occmask.CheckpointError, match="exists already"):
        run(recipe_named("baseline", **QUICK), out=tmp_path)
    with pytest.raises(occmask.CheckpointError, match=r"weight_decay was 0\.0005 and is now 0\.1"):
        run(recipe_named("baseline", weight_decay=0.1, **QUICK), out=tmp_path, resume=True)


def test_weights_alone_are_not_resumed(tmp_path):
    recipe = recipe_named("from", **QUICK)
    model, loss = fresh(recipe)
    occmask.save_weights(model, tmp_path / "last.safetensors")
    with pytest.raises(occmask.CheckpointError, match="no training state"):
        train(model, loss, some_faces(), recipe, out=tmp_path, resume=True, progress=False)


@pytest.mark.parametrize(
    "name, changes, words",
    [
        ("form", {}, "Did you mean 'from'"),
        ("from", {"epoch": 3}, "Did you mean 'epochs'"),
        ("from", {"epochs": 0}, "epochs is positive"),
        ("from", {"batch_size": 1}, "at least 2"),
        ("from", {"clean_share": 1.2}, r"clean_share lies in \[0, 1\]"),
        ("from", {"weight_decay": float("nan")}, "weight_decay is zero or more"),
        ("from", {"optimiser": Spec("sdg", learning_rate=0.1)}, "Did you mean 'sgd'"),
        ("from", {"optimiser": Spec("sgd")}, "needs the option 'learning_rate'"),
        ("from", {"optimiser": Spec("sgd", learning_rate=-1)}, "learning_rate is positive"),
        ("from", {"optimiser": Spec("sgd", learning_rate=1, momentun=0.9)}, "Did you mean 'momentum'"),
        ("from", {"schedule": "cosin"}, "Did you mean 'cosine'"),
    ],
)
def test_recipes_check_their_settings(name, changes, words):
    with pytest.raises(occmask.OccmaskError, match=words):
        recipe_named(name, **changes)
