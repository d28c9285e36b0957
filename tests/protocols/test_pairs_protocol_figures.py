"""Figures and curves of scored pairs against their definitions, written out pair by pair."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occmask.errors import ProtocolError
from occmask.evaluation.bootstrap import Bootstrap
from occmask.evaluation.curves import MAX_POINTS, score_histogram, thin_roc
from occmask.evaluation.far import check_resolvable, resolvable_fars
from occmask.evaluation.metrics import PairScores, RocCurve, roc
from occmask.evaluation.pair_figures import ScoredPairs, pair_figures, worst_pairs

FARS = (0.25, 0.5)
# Few distinct values and few people, so that ties and repeated people are the rule.
ends = st.tuples(st.integers(-3, 3).map(float), st.integers(0, 4), st.integers(0, 4))


@st.composite
def scored_pairs(draw):
    genuine, impostor = draw(st.lists(ends, min_size=1, max_size=12)), draw(st.lists(ends, min_size=40, max_size=50))
    score, first, second = (np.array(column) for column in zip(*genuine, *impostor, strict=True))
    order = np.random.default_rng(draw(st.integers(0, 9))).permutation(len(score))
    same = np.arange(len(score)) < len(genuine)
    return ScoredPairs(score[order], same[order], first[order], second[order])


def by_pairs(genuine, impostor):
    """AUC, EER and TAR at each FAR of two lists of scores, by trying every pair and every threshold."""
    genuine, impostor = np.array(genuine), np.array(impostor)
    area = np.mean([(g > i) + 0.5 * (g == i) for g in genuine for i in impostor])
    points = [(0.0, 1.0)]
    points += [((impostor >= t).mean(), (genuine < t).mean()) for t in sorted({*genuine, *impostor}, reverse=True)]
    for (far0, frr0), (far1, frr1) in itertools.pairwise(points):
        if far0 <= frr0 and far1 >= frr1:
            along = (frr0 - far0) / ((far1 - far0) + (frr0 - frr1))
            error = far0 + along * (far1 - far0)
            break
    tars = []
    for far in FARS:
        few = [t for t in {-math.inf, *impostor} if (impostor > t).sum() <= math.floor(far * len(impostor) + 1e-9)]
        tars.append((genuine > min(few)).mean())
    return [area, error, *tars]


@settings(max_examples=40)
@given(scored_pairs())
def test_figures_and_their_draws_equal_their_definitions_on_tied_scores(pairs):
    score, same, first, second = pairs
    found = pair_figures(pairs, num_people=5, fars=FARS, bootstrap=Bootstrap(resamples=4))
    assert list(found.estimates) == ["auc", "eer", "tar@2.5e-1", "tar@5e-1"]
    assert [e.value for e in found.estimates.values()] == pytest.approx(by_pairs(score[same], score[~same]))
    rng, drawn = np.random.default_rng(0), []
    while len(drawn) < 4:
        count = rng.multinomial(5, np.full(5, 0.2))
        weight = [count[a] if a == b else count[a] * count[b] for a, b in zip(first, second, strict=True)]
        genuine, impostor = (np.repeat(score[kind], np.array(weight)[kind]) for kind in (same, ~same))
        if len(genuine) and len(impostor):
            drawn.append(by_pairs(genuine, impostor))
    np.testing.assert_allclose(np.stack(list(found.draws.values()), axis=1), drawn, atol=1e-9)


@given(scored_pairs(), st.integers(1, 40))
def test_the_worst_pairs_are_the_extremes_of_each_kind_in_order(pairs, count):
    score, same = pairs.score, pairs.same
    shown = worst_pairs(pairs, lambda p: f"left {p}", lambda p: f"right {p}", count=count)
    lowest = sorted(np.flatnonzero(same), key=lambda p: (score[p], p))[:count]
    highest = sorted(np.flatnonzero(~same), key=lambda p: (-score[p], p))[:count]
    assert [pair.left for pair in shown] == [f"left {p}" for p in [*lowest, *highest]]
    assert [pair.score for pair in shown] == [score[p] for p in [*lowest, *highest]]


@given(st.integers(0, 10**8), st.sampled_from([0.1, 0.01, 0.003, 1e-4]))
def test_a_far_is_resolved_when_ten_impostors_pass(num_impostor, far):
    enough = round(num_impostor * far, 6) >= 10
    if enough:
        check_resolvable((far,), num_impostor)
    else:
        with pytest.raises(ProtocolError, match="cannot resolve"):
            check_resolvable((far,), num_impostor)
    if far != 0.003:
        assert (far in resolvable_fars(num_impostor)) == enough


scores = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=60)


def on(curve, far):
    """The lowest and highest TAR of the polyline at a FAR."""
    at = curve.y[curve.x == far]
    return (at.min(), at.max()) if len(at) else (np.interp(far, curve.x, curve.y),) * 2


@given(scores, scores)
def test_a_small_roc_is_thinned_without_any_loss(genuine, impostor):
    whole = roc(genuine, impostor)
    thin = thin_roc(whole)
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (0, 0, 1, 1)
    assert set(zip(thin.x, thin.y, strict=True)) <= set(zip(whole.far, whole.tar, strict=True))
    for far, tar in zip(whole.far, whole.tar, strict=True):  # every vertex still lies on the polyline
        low, high = on(thin, far)
        assert low - 1e-12 <= tar <= high + 1e-12


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0, 4), st.sampled_from([2000, 30000]), st.integers(2, 600))
def test_a_large_roc_keeps_its_shape_on_both_axes_with_few_exact_vertices(seed, apart, count, points):
    rng = np.random.default_rng(seed)
    pairs = PairScores(rng.normal(apart, 1, count), rng.normal(0, 1, count)).weigh()
    whole = pairs.roc()
    thin = thin_roc(whole)
    assert len(thin.x) <= MAX_POINTS
    assert (np.diff(thin.x) >= 0).all()
    assert (np.diff(thin.y) >= 0).all()
    exact = set(zip(whole.far, whole.tar, strict=True))
    assert set(zip(thin.x, thin.y, strict=True)) <= exact
    area = np.diff(thin.x) @ (thin.y[1:] + thin.y[:-1]) / 2
    assert area == pytest.approx(pairs.auc(), abs=1e-3)
    logarithm = np.linspace(math.log10(20 / count), 0, 50)
    drawn, true = (np.interp(logarithm, np.log10(np.maximum(x, 1e-9)), y) for x, y in (thin, whole[:2]))
    np.testing.assert_allclose(drawn, true, atol=0.02)
    assert len(thin_roc(whole, points=points).x) <= points


def test_a_roc_of_two_points_stays():
    straight = RocCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([np.inf, 0.0]))
    assert [list(axis) for axis in thin_roc(straight)] == [[0, 1], [0, 1]]


@given(st.lists(st.floats(-1.0000001, 1.0000001), max_size=30), st.integers(1, 50))
def test_a_histogram_holds_every_score_once(values, bins):
    centre, share = score_histogram(values, bins=bins)
    assert len(centre) == len(share) == bins
    assert share.sum() == pytest.approx(1 if values else 0)
    assert np.allclose(np.diff(centre), 2 / bins)
    for value in values:
        assert share[np.abs(centre - np.clip(value, -1, 1)) <= 1 / bins + 1e-9].any()
