"""A margin's state is part of a checkpoint: a resumed run knows what the interrupted one had learnt about norms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import occmask
from occmask import Spec
from occmask.data.faces import FaceSet
from occmask.margins.loss import MarginLoss
from occmask.models.face import FaceModel
from occmask.training import loop
from occmask.training.loop import train
from occmask.training.recipe import recipe_named

RECIPE = recipe_named("from", batch_size=4, epochs=3, checkpoint_every=2, log_every=1, schedule=Spec("cosine"))


def some_faces() -> FaceSet:
    pictures = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    return FaceSet.from_arrays(pictures, np.repeat(np.arange(3), 4))


def fresh(margin: Spec) -> tuple[FaceModel, MarginLoss]:
    torch.manual_seed(0)
    model = occmask.build("from_tiny", image_size=(32, 32))
    return model, occmask.build_loss(margin, embedding_dim=128, num_classes=3, scale=16.0)


def run(margin: Spec, **options: object) -> tuple[FaceModel, MarginLoss]:
    model, loss = fresh(margin)
    train(model, loss, some_faces(), RECIPE, progress=False, **options)
    return model, loss


@pytest.mark.parametrize(
    "margin",
    [
        Spec("adaface", alpha=0.3),  # a share so large that what was forgotten would show
        Spec("curricularface", alpha=0.3),
        Spec("elastic_arcface", plus=True),
        Spec("magface"),
    ],
    ids=lambda spec: spec.name,
)
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(margin, tmp_path, monkeypatch):
    whole, whole_loss = run(margin, out=tmp_path / "whole")
    real = loop.training_step

    def cut_at_step_six(*args, index, **kwargs):
        if index == 5:
            raise KeyboardInterrupt
        return real(*args, index=index, **kwargs)

    monkeypatch.setattr(loop, "training_step", cut_at_step_six)
    with pytest.raises(KeyboardInterrupt):
        run(margin, out=tmp_path / "cut")
    monkeypatch.setattr(loop, "training_step", real)
    torch.manual_seed(123)
    resumed, resumed_loss = run(margin, out=tmp_path / "cut", resume=True)
    for ours, theirs in ((whole, resumed), (whole_loss, resumed_loss)):
        state, other = ours.state_dict(), theirs.state_dict()
        assert state.keys() == other.keys()
        assert all(torch.equal(value, other[name]) for name, value in state.items())
    if margin.name == "adaface":
        assert resumed_loss.margin.mean.item() != 20.0


def test_a_run_is_not_resumed_with_another_margin_s_state_and_nothing_is_changed(tmp_path):
    run(Spec("adaface"), out=tmp_path)
    model, loss = fresh(Spec("curricularface"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(occmask.CheckpointError, match=r"differ in margin\.mean, margin\.std, margin\.t\); resume with"):
        train(model, loss, some_faces(), RECIPE, out=tmp_path, resume=True, progress=False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
