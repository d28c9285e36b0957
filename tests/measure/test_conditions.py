"""A model under every condition: what is scored is what the model gives in use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import occmask
from occmask.data.faces import FaceSet
from occmask.data.split import split_gallery_probes
from occmask.evaluation.occlusion import box_iou
from occmask.measure import answers, embedder, probes_by_condition, score_fixed_box, score_known_people
from occmask.occluders.conditions import CONDITIONS


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (4, 1, 28, 24, 3)).repeat(4, 2).repeat(4, 3)
    pictures = np.clip(base + rng.integers(-9, 9, (4, 6, 112, 96, 3)), 0, 255).astype(np.uint8)
    return FaceSet.from_arrays(pictures.reshape(-1, 112, 96, 3), np.repeat(np.arange(4), 6))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return occmask.build("from_tiny").eval()


def test_probes_are_the_same_every_time_and_differ_by_condition(faces):
    first, again = probes_by_condition(faces), probes_by_condition(faces)
    assert tuple(first) == CONDITIONS
    assert all(np.array_equal(first[name].images, again[name].images) for name in CONDITIONS)
    assert not first["clean"].box.any()
    assert all(first[name].covered.any((1, 2)).all() for name in CONDITIONS if name != "clean")


def test_the_embedding_that_is_scored_is_the_masked_one(model):
    images = torch.rand(2, 3, 112, 96) * 2 - 1
    with torch.inference_mode():
        output = model(images, clean=True)
        assert torch.equal(embedder(model)(images), output.embedding)
    assert not torch.allclose(output.embedding, output.clean)


def test_answers_do_not_depend_on_the_batch(model, faces):
    images = faces.images()
    whole, pieces = answers(model, images), answers(model, images, batch_size=5)
    for a, b in zip(whole, pieces, strict=True):
        torch.testing.assert_close(a, b)


def test_pictures_of_the_gallery_are_named_and_figures_are_shares(model, faces):
    gallery, probes = split_gallery_probes(faces, gallery=3)
    scores = score_known_people(
        model, gallery, probes, probes_by_condition(probes, names=["clean", "area_50"]), far=0.1
    )
    assert scores.identification["clean"]["rank1"].value > 0.9  # nearly the same picture
    assert scores.correct["clean"].shape == (12,)
    assert scores.identification["clean"]["rank1"].value == scores.correct["clean"].mean()
    assert set(scores.occlusion) == {"clean", "area_50"}


def test_no_fixed_box_beats_the_best_one():
    grid = occmask.PatternGrid(3, image_size=(30, 30))
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.6, (40, 2))
    boxes = np.concatenate([low, low + 0.4], axis=1).astype(np.float32)
    best = score_fixed_box(boxes, np.arange(40) % 5, grid=grid)
    sides = np.full(4, 30)
    every = [box_iou(np.tile(box / sides, (40, 1)), boxes).mean() for box in grid.boxes]
    assert best.value == pytest.approx(max(every))
    assert best.low < best.value < best.high
