"""Error against reject: exact under ties, between random and ideal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask.evaluation.rejection import rejection_curve, rejection_gain

COMPARISONS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=14)


def counted(scores: np.ndarray, quality: np.ndarray, threshold: float, rejected: int) -> float:
    """The mean FNMR over every order in which ties can be broken, pair by pair: O(n^2)."""
    kept = 0.0
    for i, score in enumerate(scores):
        lower = sum(quality < quality[i])
        tied = sum(quality == quality[i])
        stays = min(1.0, max(0.0, 1 - (rejected - lower) / tied))  # the chance that a pair of its tie is kept
        kept += stays * (score < threshold)
    return kept / (len(scores) - rejected)


@given(COMPARISONS)
def test_every_point_is_what_counting_pair_by_pair_gives(comparisons):
    scores, quality = (np.array(column, float) for column in zip(*comparisons, strict=True))
    curve = rejection_curve(scores, quality, threshold=2)
    for rejected in range(len(scores)):
        assert curve.at(rejected / len(scores)) == pytest.approx(counted(scores, quality, 2, rejected), abs=1e-12)


@given(COMPARISONS)
def test_no_quality_beats_the_ideal_one_and_the_errors_themselves_reach_it(comparisons):
    scores, quality = (np.array(column, float) for column in zip(*comparisons, strict=True))
    share = np.linspace(0, 0.95, 20)
    curve = rejection_curve(scores, quality, threshold=2)
    assert (curve.at(share) >= curve.ideal(share) - 1e-12).all()
    best = rejection_curve(scores, scores >= 2, threshold=2)
    np.testing.assert_allclose(best.at(share), best.ideal(share), atol=1e-12)
    if 0 < curve.error < 1:
        assert rejection_gain(best).gain == pytest.approx(1, abs=1e-9)
        assert rejection_gain(rejection_curve(scores, scores < 2, threshold=2)).gain < 0


def test_a_quality_that_is_the_same_for_all_gains_nothing():
    curve = rejection_curve([0, 1, 2, 3], [5, 5, 5, 5], threshold=1.5)
    np.testing.assert_allclose(curve.at([0, 0.25, 0.9]), 0.5)
    assert rejection_gain(curve).gain == pytest.approx(0, abs=1e-12)


def test_without_errors_there_is_nothing_to_gain():
    assert rejection_gain(rejection_curve([1, 1], [0, 1], threshold=0)).gain == 0


def test_the_areas_are_those_under_the_curves():
    curve = rejection_curve([0, 1, 1, 1], [0, 1, 2, 3], threshold=0.5)  # the error goes first
    gain = rejection_gain(curve, up_to=0.5, points=1 << 16)
    exact = 1 / 4 + 3 / 4 * np.log(3 / 4)  # of (1/4 - r) / (1 - r) from 0 to 1/4
    assert gain.area == pytest.approx(exact, abs=1e-8)
    assert gain.random == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    ("scores", "quality", "error"),
    [
        ([], [], occmask.ProtocolError),
        ([1.0], [float("nan")], occmask.ProtocolError),
        ([1.0, 2.0], [1.0], occmask.ShapeError),
    ],
)
def test_what_cannot_be_compared_is_refused(scores, quality, error):
    with pytest.raises(error):
        rejection_curve(scores, quality, threshold=0)


def test_rejecting_everything_is_refused():
    curve = rejection_curve([1.0], [1.0], threshold=0)
    with pytest.raises(occmask.OptionError, match="rejected share"):
        curve.at(1.0)
    with pytest.raises(occmask.OptionError, match="up_to"):
        rejection_gain(curve, up_to=1)
