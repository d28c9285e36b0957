"""Small made-up faces, a small model, and stage 1 run once for all tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import occmask
from occmask import RECIPES, Spec

K = 2
QUICK = {"batch_size": 8, "epochs": 4, "checkpoint_every": 2, "log_every": 1, "schedule": Spec("cosine")}
MASKS = {**QUICK, "placement": Spec("cell", k=K), "objective": Spec("pdsn_masks", pairs=4)}


def some_faces(people=3, each=4):
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (people, 1, 32, 32, 3))
    pictures = np.clip(base + rng.integers(-30, 30, (people, each, 32, 32, 3)), 0, 255).astype(np.uint8)
    return occmask.FaceSet.from_arrays(pictures.reshape(-1, 32, 32, 3), np.repeat(np.arange(people), each))


def fresh(**head):
    torch.manual_seed(0)
    spec = Spec("pdsn", **{"k": K, "detector": Spec("classifier", width=4), **head})
    model = occmask.build("pdsn_tiny", image_size=(32, 32), head=spec)
    return model, occmask.build_loss("cosface", embedding_dim=128, num_classes=3, scale=16.0)


def trained(recipe, model, loss, **options):
    occmask.train(model, loss, some_faces(), recipe, progress=False, **options)
    return model, loss


@pytest.fixture(scope="session")
def small():
    """What tests of training are made of."""
    return SimpleNamespace(some_faces=some_faces, fresh=fresh, trained=trained, quick=QUICK, masks=MASKS, k=K)


@pytest.fixture(scope="session")
def first_stage(tmp_path_factory):
    """A model whose dictionary stage 1 has built, its margin loss, and the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("masks")
    return *trained(RECIPES["pdsn_masks"](**MASKS), *fresh(), out=folder), folder


@pytest.fixture(autouse=True)
def _forget_what_the_test_registered():
    before = dict(occmask.OBJECTIVES._loaded)
    yield
    occmask.OBJECTIVES._loaded = before
