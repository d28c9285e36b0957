"""Coverage maps: their loss, and what they answer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask.coverage import coverage_target

HEIGHT, WIDTH = 12, 10


def logits(places: torch.Tensor) -> torch.Tensor:
    """(B, h, w) bool -> sure logits (B, 1, h, w)."""
    return torch.where(places, 20.0, -20.0)[:, None]


@st.composite
def rectangles(draw):
    x0, x1 = sorted(draw(st.lists(st.integers(0, WIDTH), min_size=2, max_size=2, unique=True)))
    y0, y1 = sorted(draw(st.lists(st.integers(0, HEIGHT), min_size=2, max_size=2, unique=True)))
    return x0, y0, x1, y1


@given(rectangles())
def test_the_box_of_a_sure_rectangle_is_that_rectangle(box):
    x0, y0, x1, y1 = box
    places = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    places[0, y0:y1, x0:x1] = True
    answer = occmask.answer_from_coverage(logits(places))
    expected = torch.tensor([[x0 / WIDTH, y0 / HEIGHT, x1 / WIDTH, y1 / HEIGHT]])
    assert torch.allclose(answer.box, expected)
    mean = places.float().mean()
    assert answer.cells.mean() == pytest.approx(float(mean), abs=0.25)  # cells of 12 x 10 places overlap a little


def test_nothing_covered_is_an_empty_box_and_everything_the_whole_face():
    places = torch.stack([torch.zeros(HEIGHT, WIDTH, dtype=torch.bool), torch.ones(HEIGHT, WIDTH, dtype=torch.bool)])
    answer = occmask.answer_from_coverage(logits(places), k=3)
    assert answer.box.tolist() == [[0, 0, 0, 0], [0, 0, 1, 1]]
    assert answer.cells.shape == (2, 3, 3)
    assert answer.covered[0] < 1e-6 < 1 - 1e-6 < answer.covered[1]


def test_the_target_is_the_covered_share_of_each_cell():
    covered = torch.zeros(1, 4, 4, dtype=torch.bool)
    covered[0, :2, :1] = True
    truth = occmask.OcclusionTruth(torch.zeros(1, 4), covered)
    assert coverage_target(truth, (2, 2)).tolist() == [[[[0.5, 0], [0, 0]]]]


def test_the_loss_is_least_at_the_truth_and_needs_a_map():
    covered = torch.zeros(1, 4, 4, dtype=torch.bool)
    covered[0, 1:3] = True
    truth = occmask.OcclusionTruth(torch.zeros(1, 4), covered)
    right, wrong = logits(covered), logits(~covered)
    assert occmask.coverage_loss(right, truth) < 1e-6 < 10 < occmask.coverage_loss(wrong, truth)
    with pytest.raises(occmask.DataError, match="covered"):
        occmask.coverage_loss(right, occmask.OcclusionTruth(torch.zeros(1, 4)))


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (2, 4, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(occmask.ShapeError, match=r"\(B, 1, h, w\)"):
        occmask.answer_from_coverage(torch.zeros(shape))


@given(st.integers(0, 2**32 - 1), st.sampled_from([(28, 24), (14, 12), (7, 6), (1, 1)]))
def test_that_anything_is_covered_is_said_by_the_likeliest_hundredth_of_the_places(seed, size):
    pattern = torch.randn(3, 1, *size, generator=torch.Generator().manual_seed(seed)) * 3
    answer = occmask.answer_from_coverage(pattern)
    likeliest = (
        pattern.sigmoid().flatten(1).sort(1, descending=True).values[:, : max(1, round(size[0] * size[1] / 100))]
    )
    assert torch.allclose(answer.covered, likeliest.mean(1), atol=1e-6)
    assert (answer.covered <= pattern.sigmoid().flatten(1).amax(1) + 1e-6).all()
    assert (answer.covered >= pattern.sigmoid().flatten(1).mean(1) - 1e-6).all()


def test_a_cover_smaller_than_a_cell_is_still_something_and_a_single_place_is_not_yet():
    small, single = torch.zeros(2, 28, 24, dtype=torch.bool)
    small[20:23, 10:13] = True
    single[20, 10] = True
    answer = occmask.answer_from_coverage(logits(torch.stack([small, single])))
    assert answer.covered[0] > 0.99
    assert answer.covered[1] < 0.2
