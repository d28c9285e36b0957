import itertools

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.evaluation.folds import exact_threshold, fold_accuracy, fold_bounds, grid_threshold
from occmask.evaluation.published import PublishedTar

# Few distinct values, so that ties are the rule rather than the exception.
pairs = st.lists(st.tuples(st.integers(-8, 8).map(lambda n: n / 8), st.booleans()), min_size=1, max_size=14)
finely = st.lists(st.tuples(st.floats(-1, 1), st.booleans()), min_size=1, max_size=14)


def rightly_judged(threshold, scored):
    return sum((score > threshold) == same for score, same in scored)


def columns(scored):
    score, same = zip(*scored, strict=True)
    return np.array(score, float), np.array(same, bool)


@given(pairs | finely)
@example([(0.5, True), (float(np.nextafter(0.5, 1)), False)])  # neighbours: no float lies between them
@example([(0.5, False), (float(np.nextafter(0.5, 1)), True)])
def test_no_threshold_judges_more_pairs_rightly_than_the_exact_one(scored):
    found = exact_threshold(*columns(scored))
    everywhere = [-np.inf, np.inf, *(score for score, _ in scored)]
    everywhere += [(a + b) / 2 for a, b in itertools.combinations(sorted({s for s, _ in scored}), 2)]
    assert rightly_judged(found, scored) == max(rightly_judged(t, scored) for t in everywhere)


@given(pairs)
def test_the_exact_threshold_lies_midway_between_scores_and_of_equals_the_strictest_is_taken(scored):
    distinct = sorted({score for score, _ in scored})
    candidates = [-np.inf, *((a + b) / 2 for a, b in itertools.pairwise(distinct)), np.inf]
    best = max(rightly_judged(t, scored) for t in candidates)
    assert exact_threshold(*columns(scored)) == max(t for t in candidates if rightly_judged(t, scored) == best)


def published_threshold(scored):
    """FROM's rule, in plain words: go up the grid, and keep whatever is at least as good as the best so far."""
    kept, most = None, -1
    for threshold in np.arange(-1.0, 1.0, 0.005):
        right = rightly_judged(threshold, scored)
        if right >= most:
            kept, most = threshold, right
    return kept


@given(pairs | finely)
def test_the_published_threshold_is_the_last_best_one_of_the_grid(scored):
    assert grid_threshold(*columns(scored)) == published_threshold(scored)


def published_accuracy(scored, folds, choose):
    """Each fold judged by the threshold of the others; the mean over the folds and who was judged rightly."""
    accuracies, right = [], []
    for fold in range(folds):
        start, end = int(fold * len(scored) / folds), int((fold + 1) * len(scored) / folds)
        test, train = scored[start:end], scored[:start] + scored[end:]
        threshold = choose(train)
        right += [(score > threshold) == same for score, same in test]
        accuracies.append(rightly_judged(threshold, test) / len(test))
    return accuracies, right


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-8, 8).map(lambda n: n / 8), st.booleans()), min_size=12, max_size=40), st.data())
def test_ten_fold_accuracy_equals_the_published_rule_written_out(scored, data):
    folds = data.draw(st.integers(2, 10))
    assume(folds <= len(scored))
    bounds = fold_bounds(len(scored), folds)
    for start, end in itertools.pairwise(bounds):
        assume(len({same for _, same in scored[:start] + scored[end:]}) == 2)
    for rule, choose in (
        (grid_threshold, published_threshold),
        (exact_threshold, lambda train: exact_threshold(*columns(train))),
    ):
        expected, right = published_accuracy(scored, folds, choose)
        found = fold_accuracy(*columns(scored), folds=folds, rule=rule)
        assert found.accuracy == pytest.approx(expected)
        assert list(found.correct) == right
        assert found.outcome.mean() == pytest.approx(np.mean(expected))
        if len(scored) % folds == 0:
            assert set(found.outcome) <= {0.0, 1.0}


def test_on_six_thousand_pairs_the_folds_are_those_of_lfw():
    assert list(fold_bounds(6000, 10)) == list(range(0, 6001, 600))
    rng = np.random.default_rng(0)
    same = np.tile(np.repeat([True, False], 300), 10)
    score = np.clip(rng.normal(0.2 + 0.4 * same, 0.15), -1, 1)
    kept, most = None, -1
    for threshold in np.arange(-1.0, 1.0, 0.005):
        right = ((score[600:] > threshold) == same[600:]).sum()
        kept, most = (threshold, right) if right >= most else (kept, most)
    found = fold_accuracy(score, same, rule=grid_threshold)
    assert found.threshold[0] == kept
    assert found.accuracy[0] == ((score[:600] > kept) == same[:600]).mean()


def test_a_fold_is_judged_by_the_others_and_not_by_itself():
    score = np.array([0.1, 0.2, 0.8, 0.9] * 2)
    same = np.array([True, True, False, False, False, False, True, True])  # the first fold is upside down
    assert list(fold_accuracy(score, same, folds=2).accuracy) == [0, 0.5]  # its own threshold is +inf


@given(pairs, st.data())
def test_the_published_tar_counts_genuine_pairs_that_reach_the_deciding_impostor(scored, data):
    far = data.draw(st.sampled_from([1e-4, 0.1, 0.25, 0.5]))
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(scored), max_size=len(scored))), float)
    score, same = columns(scored)
    assume((weight * same).any() and (weight * ~same).any())
    repeated = [pair for pair, count in zip(scored, weight, strict=True) for _ in range(int(count))]
    impostor = sorted((s for s, one in repeated if not one), reverse=True)
    genuine = [s for s, one in repeated if one]
    expected = np.mean([g >= impostor[int(len(impostor) * far)] for g in genuine])
    assert PublishedTar(score, same, far)(weight) == pytest.approx(expected)


def test_the_published_tar_needs_an_impostor():
    with pytest.raises(ProtocolError, match="no impostor pair"):
        PublishedTar(np.ones(2), np.array([True, True]))


def test_what_cannot_be_folded_is_refused():
    score, same = np.arange(6.0), np.array([True, False] * 3)
    with pytest.raises(OptionError, match="at least 2"):
        fold_accuracy(score, same, folds=1)
    with pytest.raises(ProtocolError, match="6 pairs do not fill 7 folds"):
        fold_accuracy(score, same, folds=7)
    with pytest.raises(ProtocolError, match="outside fold 1 of 2 there is no impostor pair"):
        fold_accuracy(score, np.array([False] * 3 + [True] * 3), folds=2, rule=grid_threshold)
    with pytest.raises(ProtocolError, match="outside fold 1 of 2 there is no genuine pair"):
        fold_accuracy(score, np.array([True] * 3 + [False] * 3), folds=2)
    with pytest.raises(ProtocolError, match="pair 1 is NaN"):
        fold_accuracy(np.where(score == 1, np.nan, score), same, folds=2)
    for wrong in (same[1:], same * 1):
        with pytest.raises(ShapeError, match="same of booleans"):
            fold_accuracy(score, wrong, folds=2)
