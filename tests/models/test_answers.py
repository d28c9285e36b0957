"""What is covered, behind one interface, whichever part of a model says so; and what a temperature does to it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask.shapes import REGIONS

IMAGE = occmask.FeatureShape(3, 112, 96)
MASK = (6, 7, 6)
SOURCES = {
    "classification": {"pattern_predictor": "classification"},
    "regression": {"pattern_predictor": "regression"},
    "mask": {"pattern_predictor": "mask"},
    "mask of places": {"pattern_predictor": "mask", "mask_decoder": "spatial"},
    "mask of the embedding": {"pattern_predictor": "mask", "mask_decoder": "vector"},
    "occupancy": {"head": occmask.Spec("occupancy", width=4, context=4)},
    "occupancy over FROM": {"head": occmask.Spec("occupancy", width=4, context=4, gate="from")},
}
PATTERNS = {"classification": (226,), "regression": (5,), "mask": (1, 7, 6)}


def predictor_of(name: str, **options: object) -> torch.nn.Module:
    return occmask.PATTERN_PREDICTORS.build(occmask.Spec(name, **options), MASK, IMAGE).eval()


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_answers_in_the_same_words(source):
    torch.manual_seed(0)
    model = occmask.build("from_tiny", **SOURCES[source]).eval()
    images = torch.rand(3, 3, 112, 96) * 2 - 1
    with torch.inference_mode():
        answer = model.occlusion(images)
    assert answer.cells.shape == (3, 5, 5)
    assert answer.box.shape == (3, 4)
    assert answer.covered.shape == (3,)
    assert answer.coverage.ndim == 3
    assert answer.regions.shape == (3, len(REGIONS))
    for tensor in answer:
        assert ((tensor >= 0) & (tensor <= 1)).all()
    for name in REGIONS:
        assert torch.equal(answer.is_covered(name), answer.region(name) >= 0.5)


@pytest.mark.parametrize("name", PATTERNS)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_temperature_of_one_changes_nothing_and_a_higher_one_doubts_more(name, seed):
    pattern = torch.randn(4, *PATTERNS[name], generator=torch.Generator().manual_seed(seed)) * 4
    if name == "regression":
        pattern[:, :4] = pattern[:, :4].sigmoid()
    plain, one, hot = (predictor_of(name, **o).answer(pattern) for o in ({}, {"temperature": 1}, {"temperature": 3.0}))
    for a, b in zip(plain, one, strict=True):
        assert a is b is None or torch.equal(a, b)
    if name != "classification":
        assert torch.equal(plain.box, hot.box)  # one half stays one half
    if name == "regression":
        assert ((hot.covered - 0.5).abs() <= (plain.covered - 0.5).abs()).all()
    if name == "mask":
        assert ((hot.coverage - 0.5).abs() <= (plain.coverage - 0.5).abs()).all()


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_a_temperature_is_for_answers_and_leaves_the_loss_alone(name):
    truth = occmask.OcclusionTruth(torch.tensor([[0, 0, 0.5, 0.5], [0, 0, 0, 0]]))
    pattern = torch.rand(2, *PATTERNS[name])
    assert predictor_of(name).loss(pattern, truth) == predictor_of(name, temperature=5.0).loss(pattern, truth)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_a_temperature_is_positive(name, temperature):
    with pytest.raises(occmask.OptionError, match="temperature is positive"):
        predictor_of(name, temperature=temperature)


def test_the_less_a_mask_keeps_the_more_is_covered():
    keep = torch.full((1, *MASK), 0.9)
    keep[:, :, 3:, :2] = 0.1
    reader = predictor_of("mask")
    answer = reader.answer(reader(keep))
    covered = answer.coverage[0] > 0.5
    assert covered[3:, :2].all()
    assert covered.sum() == 8
    assert answer.box[0].tolist() == pytest.approx([0, 3 / 7, 2 / 6, 1])


def test_only_the_mean_over_channels_counts():
    mask = torch.rand(2, *MASK)
    reader = predictor_of("mask")
    assert torch.allclose(reader(mask), reader(mask.mean(1, keepdim=True).expand_as(mask)), atol=1e-6)


def test_training_the_reading_closes_the_mask_where_the_face_is_covered():
    torch.manual_seed(0)
    reader = predictor_of("mask")
    assert sum(p.numel() for p in reader.parameters()) == 2
    logits = torch.zeros(1, *MASK, requires_grad=True)
    covered = torch.zeros(1, 112, 96, dtype=torch.bool)
    covered[:, 64:] = True  # the lowest three rows of places
    truth = occmask.OcclusionTruth(torch.tensor([[0, 64 / 112, 1, 1]]), covered)
    optimiser = torch.optim.Adam([logits, *reader.parameters()], 0.1)
    for _ in range(60):
        optimiser.zero_grad()
        loss = reader.loss(reader(logits.sigmoid()), truth)
        loss.backward()
        optimiser.step()
    keep = logits.sigmoid().mean((0, 1, 3))
    assert keep[:4].min() > 0.8
    assert keep[4:].max() < 0.2
    assert loss < 0.05


@pytest.mark.parametrize("options", [{"k": 0}, {"gain": 0}])
def test_wrong_options_of_the_reading_are_refused(options):
    with pytest.raises(occmask.OptionError, match="'mask'"):
        predictor_of("mask", **options)
