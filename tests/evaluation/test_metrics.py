import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from occmask.errors import ProtocolError, ShapeError
from occmask.evaluation.metrics import PairScores, auc, cmc, eer, identity_ranks, roc, tar_at_far

# Few distinct values, so that ties are the rule rather than the exception.
scores = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)
weights = st.integers(0, 3)


def auc_by_pairs(genuine, impostor):
    return np.mean([[(g > i) + 0.5 * (g == i) for i in impostor] for g in genuine])


def roc_by_counting(genuine, impostor):
    g, i = np.array(genuine), np.array(impostor)
    points = [(0.0, 0.0)]
    for threshold in sorted({*genuine, *impostor}, reverse=True):
        points.append(((i >= threshold).mean(), (g >= threshold).mean()))
    return points


def eer_by_walking(genuine, impostor):
    points = roc_by_counting(genuine, impostor)
    for (far0, tar0), (far1, tar1) in itertools.pairwise(points):
        before, after = far0 - (1 - tar0), far1 - (1 - tar1)
        if before <= 0 <= after and after > before:
            return far0 + (far1 - far0) * -before / (after - before)
    raise AssertionError("FAR and FRR always cross")


def tar_by_trying(genuine, impostor, far):
    g, i = np.array(genuine), np.array(impostor)
    allowed = math.floor(round(far * len(i), 9))
    candidates = [t for t in [*impostor, -np.inf] if (i > t).sum() <= allowed]
    return (g > min(candidates)).mean()


@given(scores, scores)
def test_auc_is_the_chance_that_a_genuine_pair_beats_an_impostor(genuine, impostor):
    assert auc(genuine, impostor) == pytest.approx(auc_by_pairs(genuine, impostor))


@given(scores, scores)
def test_roc_has_a_vertex_for_every_distinct_score_and_its_area_is_the_auc(genuine, impostor):
    curve = roc(genuine, impostor)
    np.testing.assert_allclose(np.stack([curve.far, curve.tar], 1), roc_by_counting(genuine, impostor))
    assert np.diff(curve.far) @ (curve.tar[1:] + curve.tar[:-1]) / 2 == pytest.approx(auc(genuine, impostor))
    assert list(curve.threshold[1:]) == sorted({*genuine, *impostor}, reverse=True)


@given(scores, scores)
def test_eer_is_where_the_roc_polyline_crosses_equal_errors(genuine, impostor):
    assert eer(genuine, impostor) == pytest.approx(eer_by_walking(genuine, impostor))


@given(scores, scores, st.sampled_from([0.01, 0.1, 0.2, 0.25, 0.29, 1 / 3, 0.5, 0.9, 0.999]))
def test_tar_at_far_is_the_best_of_all_thresholds_that_pass_few_enough_impostors(genuine, impostor, far):
    assert tar_at_far(genuine, impostor, far) == pytest.approx(tar_by_trying(genuine, impostor, far))


def test_far_times_impostors_is_not_rounded_down_by_floating_point():
    impostor = np.arange(100.0)  # .29 * 100 is 28.999999999999996: 29 may pass all the same
    assert tar_at_far([70.5], impostor, 0.29) == 1.0
    assert tar_at_far([69.5], impostor, 0.29) == 0.0


def test_a_genuine_pair_tied_with_the_first_rejected_impostor_is_rejected():
    impostor = [5.0, 4.0, 4.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert tar_at_far([4.0, 4.5], impostor, 0.2) == 0.5


@given(st.lists(st.tuples(st.integers(-3, 3), weights), min_size=1, max_size=8), st.data())
def test_weighting_a_pair_is_repeating_it(weighted_genuine, data):
    weighted_impostor = data.draw(st.lists(st.tuples(st.integers(-3, 3), weights), min_size=1, max_size=8))
    (genuine, g_weight), (impostor, i_weight) = (np.array(w, float).T for w in (weighted_genuine, weighted_impostor))
    assume(g_weight.sum() and i_weight.sum())
    pairs = PairScores(genuine, impostor)
    weighed = pairs.weigh(g_weight[pairs.genuine_order], i_weight[pairs.impostor_order])
    repeated = PairScores(np.repeat(genuine, g_weight.astype(int)), np.repeat(impostor, i_weight.astype(int))).weigh()
    assert weighed.auc() == pytest.approx(repeated.auc())
    assert weighed.eer() == pytest.approx(repeated.eer())
    assert [weighed.tar_at_far(f) for f in (0.1, 0.5)] == pytest.approx([repeated.tar_at_far(f) for f in (0.1, 0.5)])


@given(scores, scores)
def test_only_the_order_of_the_scores_matters(genuine, impostor):
    bent = [np.exp(np.array(s)) * 7 - 2 for s in (genuine, impostor)]
    for metric in (auc, eer, lambda g, i: tar_at_far(g, i, 0.25)):
        assert metric(*bent) == pytest.approx(metric(genuine, impostor))


@st.composite
def galleries(draw):
    num_people = draw(st.integers(1, 4))
    gallery = draw(st.permutations([*range(num_people), *draw(st.lists(st.integers(0, num_people - 1), max_size=4))]))
    probe = draw(st.lists(st.integers(0, num_people - 1), min_size=1, max_size=5))
    row = st.lists(st.integers(0, 3), min_size=len(gallery), max_size=len(gallery))
    return np.array([draw(row) for _ in probe], float), np.array(gallery) * 10, np.array(probe) * 10


@given(galleries())
def test_ranks_order_people_by_their_best_picture_and_ties_count_against_the_probe(case):
    score, gallery, probe = case
    for row, label, rank in zip(score, probe, identity_ranks(score, gallery, probe), strict=True):
        best = {person: row[gallery == person].max() for person in set(gallery)}
        assert rank == 1 + sum(best[p] >= best[label] for p in best if p != label)


@given(galleries())
def test_cmc_counts_probes_up_to_each_rank(case):
    score, gallery, probe = case
    ranks, num_people = identity_ranks(score, gallery, probe), len(set(gallery))
    assert list(cmc(ranks, num_people=num_people)) == [np.mean(ranks <= r) for r in range(1, num_people + 1)]


def test_a_probe_of_somebody_outside_the_gallery_is_named():
    with pytest.raises(ProtocolError, match="no picture of labels 7, 9"):
        identity_ranks(np.zeros((3, 2)), [1, 2], [1, 9, 7])


@pytest.mark.parametrize(
    ("genuine", "impostor", "message"),
    [([], [1.0], "no genuine"), ([1.0], [], "no impostor"), ([1.0, np.nan], [1.0], "genuine score 1 is NaN")],
)
def test_scores_that_measure_nothing_are_refused(genuine, impostor, message):
    for metric in (auc, eer, roc):
        with pytest.raises(ProtocolError, match=message):
            metric(genuine, impostor)


@pytest.mark.parametrize("far", [0, 1, -0.1, 1.5, math.nan])
def test_a_far_outside_0_to_1_is_refused(far):
    with pytest.raises(ProtocolError, match="strictly between 0 and 1"):
        tar_at_far([1.0], [0.0], far)


def test_weights_must_fit_the_pairs_and_leave_some():
    pairs = PairScores([1.0, 2.0], [0.0])
    with pytest.raises(ShapeError, match="one weight a pair"):
        pairs.weigh([1.0])
    with pytest.raises(ProtocolError, match="positive weight"):
        pairs.weigh([0.0, 0.0])
