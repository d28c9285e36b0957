from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.data.faces import FaceSet
from occmask.errors import OptionError, ProtocolError
from occmask.evaluation.bootstrap import Bootstrap, paired_difference
from occmask.evaluation.metrics import Estimate, auc
from occmask.evaluation.outcomes import Trials
from occmask.protocols.compare import compare
from occmask.protocols.inputs import PartialAndWhole
from occmask.protocols.pfr import PartialFaces
from occmask.protocols.result import Result

PERSON = np.repeat(np.arange(30), 4)


def outcomes(share, seed):
    return (np.random.default_rng(seed).random(len(PERSON)) < share).astype(float)


def result(hits, **changes):
    """A result of one figure with its trials."""
    figures = {"plain": {"accuracy": Bootstrap().mean(hits, PERSON)}}
    whole = {
        "protocol": "pairs",
        "settings": {"folds": 10, "confidence": 0.95, "resamples": 200, "seed": 0, "batch_size": 128},
        "data": {"name": "lfw", "fingerprint": "ab" * 32},
        "model": {"name": "from", "fingerprint": str(hits.sum())},
        "figures": figures,
        "trials": {"plain": {"accuracy": Trials(PERSON, hits)}},
    }
    return Result(**{**whole, **changes})


A, B = result(outcomes(0.95, 0)), result(outcomes(0.5, 1))


def only(found):
    (figure,) = found.figures
    return figure


def test_a_difference_of_trials_is_the_paired_bootstrap_over_people():
    figure = only(compare(A, B))
    expected = paired_difference(A.trials["plain"]["accuracy"].value, B.trials["plain"]["accuracy"].value, PERSON)
    assert figure.difference == expected
    assert figure.difference.value == pytest.approx(figure.a.value - figure.b.value)
    assert (figure.a, figure.b) == (A.figures["plain"]["accuracy"], B.figures["plain"]["accuracy"])


def test_a_higher_cosine_makes_no_model_better():
    high, low = (
        result(hits, trials={"plain": {"cosine": Trials(PERSON, hits)}}, figures={"plain": {"cosine": estimate}})
        for hits, estimate in ((outcomes(0.95, 0), Estimate(0.95, 0.9, 1)), (outcomes(0.5, 1), Estimate(0.5, 0.4, 0.6)))
    )
    assert only(compare(high, low)).verdict == "A is higher"
    assert only(compare(low, high)).verdict == "A is lower"
    assert any(note.startswith("a higher cosine is no merit") for note in compare(high, low).notes)
    assert not any("cosine" in note for note in compare(A, B).notes)


def test_the_verdict_is_in_words_and_turns_round_with_the_order():
    assert only(compare(A, B)).verdict == "A is better"
    assert only(compare(B, A)).verdict == "A is worse"
    assert only(compare(A, A)).verdict == "no difference shown"
    near = result(np.where(np.arange(len(PERSON)) == 3, 0, A.trials["plain"]["accuracy"].value))
    assert only(compare(A, near)).verdict == "no difference shown"  # one picture of one person decides nothing


def with_draws(value, draws, metric="auc", **changes):
    return result(
        A.trials["plain"]["accuracy"].value,
        figures={"flip": {metric: Estimate(value, min(draws), max(draws))}},
        trials={},
        draws={"flip": {metric: np.array(draws)}},
        **changes,
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_a_difference_of_draws_is_the_percentiles_of_the_draws_differences(both):
    first, second = np.array(both).T
    figure = only(compare(with_draws(0.75, first), with_draws(0.5, second)))
    assert figure.difference == pytest.approx((0.25, *np.quantile(first - second, [0.025, 0.975])))
    _, low, high = figure.difference
    assert figure.verdict == ("A is better" if low > 0 else "A is worse" if high < 0 else "no difference shown")


@pytest.mark.parametrize(
    ("metric", "verdict"), [("auc", "A is better"), ("eer", "A is worse"), ("fnir@1e-2", "A is worse")]
)
def test_of_an_error_less_is_better(metric, verdict):
    more, less = with_draws(0.7, [0.6, 0.7], metric), with_draws(0.2, [0.1, 0.2], metric)
    assert only(compare(more, less)).verdict == verdict


def test_draws_of_two_versions_of_numpy_are_not_paired():
    a, b = (with_draws(0.7, [0.6, 0.8], versions={"numpy": version}) for version in ("2.4", "2.5"))
    assert only(compare(a, b)).verdict == "no paired interval"
    assert any("different versions of NumPy" in note for note in compare(a, b).notes)
    assert only(compare(a, a)).difference == (0, 0, 0)


def test_a_figure_without_trials_or_draws_is_put_side_by_side():
    a, b = (replace(r, trials={}) for r in (A, B))
    figure = only(compare(a, b))
    assert (figure.difference, figure.verdict) == (None, "no paired interval")
    assert figure.a == A.figures["plain"]["accuracy"]
    assert any("two overlapping intervals do not show" in note for note in compare(a, b).notes)


def test_paired_draws_of_a_real_protocol_see_what_two_overlapping_intervals_hide():
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(25), 6)
    own = rng.integers(30, 226, (25, 4, 6, 3))
    images = np.clip(own[label] + rng.normal(0, 90, (150, 4, 6, 3)), 0, 255).astype(np.uint8)
    faces = FaceSet.from_arrays(images, label, people=[f"person {i:02}" for i in range(25)])
    first = np.arange(150) % 6 < 3
    data = PartialAndWhole(faces.select(~first), faces.select(first), np.full(75, 0.5))
    fixed = rng.normal(0, 25, (1000, 72))

    def better(images):
        return images.reshape(len(images), -1) - 128.0

    def worse(images):  # the same with some noise that depends on the picture
        return better(images) + fixed[images.reshape(len(images), -1).sum(axis=1) % 1000]

    measure = PartialFaces(bins=(1,), fars=(0.1,))
    a, b = measure(better, data), measure(worse, data)
    found = {figure.metric: figure for figure in compare(a, b).figures if figure.group == "all"}
    assert set(found) == {"rank1", "auc", "eer", "tar@1e-1"}
    assert all(figure.difference is not None for figure in found.values())
    area = found["auc"]
    assert area.a.low < area.b.high  # their own intervals overlap
    assert area.verdict == "A is better"
    # the same people for both: draw them again and take both areas of each draw
    drawn, rng = [], np.random.default_rng(0)
    person, known = faces.labels[~first], faces.labels[first]
    scores = []
    for embed in (better, worse):
        new, old = (embed(f.images()) for f in data[:2])
        scores.append((new / np.linalg.norm(new, axis=1)[:, None]) @ (old / np.linalg.norm(old, axis=1)[:, None]).T)
    same = person[:, None] == known
    for _ in range(200):
        count = rng.multinomial(25, np.full(25, 1 / 25))
        weight = np.where(same, count[person][:, None], count[person][:, None] * count[known])
        areas = [auc(np.repeat(s[same], weight[same]), np.repeat(s[~same], weight[~same])) for s in scores]
        drawn.append(areas[0] - areas[1])
    assert area.difference[1:] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "pfr"}, "A is a result of 'pairs' and B of 'pfr'"),
        ({"settings": {**A.settings, "folds": 5}}, "settings differ: folds is 10 in A and 5 in B"),
        ({"settings": {**A.settings, "published": True}}, "published is absent in A and True in B"),
        ({"settings": {**A.settings, "seed": 1}}, "seed is 0 in A and 1 in B"),
        (
            {"data": {"name": "lfw", "fingerprint": "cd" * 32}},
            "data differ .fingerprints abababababab and cdcdcdcdcdcd",
        ),
        ({"data": {**A.data, "fingerprint": "cd", "size": [112, 112]}}, r"; size is None in A and \[112, 112\] in B"),
        ({"data": {"name": "lfw"}}, "without a fingerprint"),
        ({"figures": {"flip": A.figures["plain"]}}, "no figure in common"),
        (
            {"trials": {"plain": {"accuracy": Trials(PERSON[::-1], outcomes(0.5, 1))}}},
            "plain accuracy are not those of",
        ),
    ],
)
def test_unlike_results_are_refused_saying_what_differs(change, message):
    with pytest.raises(ProtocolError, match=message):
        compare(A, replace(B, **change))


def test_what_changes_no_figure_may_differ():
    other = replace(B, settings={**B.settings, "batch_size": 7}, data={**B.data, "name": "another name"})
    assert compare(A, other).figures == compare(A, B).figures


def test_settings_are_alike_before_and_after_json():
    a, b = (replace(r, settings={**r.settings, "fars": fars}) for r, fars in ((A, (0.1,)), (B, [np.float64(0.1)])))
    assert compare(a, Result.from_dict(b.to_dict())).figures == compare(A, B).figures


def test_the_confidence_is_the_results_own():
    a, b = (replace(r, settings={**r.settings, "confidence": 0.5}) for r in (A, B))
    narrow, wide = only(compare(a, b)).difference, only(compare(A, B)).difference
    assert compare(a, b).confidence == 0.5
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("wrong", [{"confidence": None}, {"confidence": 5}, {"resamples": "many"}, {"seed": -1}])
def test_settings_of_no_bootstrap_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        compare(*(result(outcomes(share, 0), settings={**A.settings, **wrong}) for share in (0.9, 0.5)))


def test_figures_of_one_result_only_and_one_model_twice_are_noted():
    more = replace(A, figures={**A.figures, "flip": A.figures["plain"]})
    assert "only A has flip accuracy" in compare(more, B).notes
    assert "only B has flip accuracy" in compare(B, more).notes
    assert "A and B are results of one model" in compare(A, A).notes
    assert "A and B are results of one model" not in compare(A, B).notes


def test_many_differences_come_with_a_warning():
    many = {"plain": {f"metric{i}": A.figures["plain"]["accuracy"] for i in range(20)}}
    trials = {"plain": {f"metric{i}": A.trials["plain"]["accuracy"] for i in range(20)}}
    found = compare(*(replace(A, figures=many, trials=trials) for _ in range(2)))
    assert any("20 differences" in note and "about 1 would" in note for note in found.notes)


def test_a_metric_that_only_one_result_has_anywhere_is_named_once():
    figures = {group: {"rank1": Estimate(1, 1, 1)} for group in ("clean", "scarf")}
    trials = {group: {"rank1": A.trials["plain"]["accuracy"]} for group in figures}
    less = result(outcomes(1, 0), figures=figures, trials=trials)
    more = replace(less, figures={group: {**found, "iou": Estimate(1, 1, 1)} for group, found in figures.items()})
    assert "only A has iou" in compare(more, less).notes
