from typing import NamedTuple

import numpy as np
import pytest

from occmask.errors import OptionError, ProtocolError
from occmask.evaluation.bootstrap import Bootstrap
from occmask.evaluation.far import resolvable_fars
from occmask.evaluation.folds import exact_threshold, fold_accuracy, grid_threshold
from occmask.evaluation.metrics import auc, eer, tar_at_far
from occmask.evaluation.pair_figures import ScoredPairs, pair_figures, weighted_mean, worst_pairs
from occmask.protocols import PROTOCOLS
from occmask.protocols.pair_verification import PairVerification, pair_scores


class CountedFaces:
    """Faces in memory that count how often each picture is read."""

    def __init__(self, images, labels):
        self.pixels, self.labels, self.grey = np.asarray(images, np.uint8), np.asarray(labels), False
        self.people = [f"person {label}" for label in range(self.labels.max() + 1)]
        self.read = np.zeros(len(self.pixels), int)

    def __len__(self):
        return len(self.pixels)

    def name(self, index):
        return f"picture {index}"

    def images(self, indices=None):
        chosen = list(range(len(self)) if indices is None else indices)
        np.add.at(self.read, chosen, 1)
        return self.pixels[chosen]


class GivenPairs(NamedTuple):
    faces: CountedFaces
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray


def people(num_people, each, *, noise=60.0, seed=0, size=(4, 6)):
    """`each` noisy pictures of every person, person by person."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(num_people), each)
    own = rng.integers(40, 216, (num_people, *size, 3))
    return CountedFaces(np.clip(own[label] + rng.normal(0, noise, (len(label), *size, 3)), 0, 255), label)


def some_pairs(faces, count, *, seed=0, folds=10):
    """`count` pairs of each kind in contiguous folds, half of each fold genuine, as LFW's."""
    rng = np.random.default_rng(seed)
    same = np.tile(np.repeat([True, False], count // folds), folds)
    left = rng.integers(0, len(faces), 2 * count)
    right = np.empty_like(left)
    for pair, first in enumerate(left):
        chosen = (faces.labels == faces.labels[first]) == same[pair]
        chosen[first] = False
        right[pair] = rng.choice(np.flatnonzero(chosen))
    return GivenPairs(faces, left, right, same)


def flat(images):
    """A picture's pixels: they say where things are, so that a mirrored picture embeds differently."""
    return images.reshape(len(images), -1).astype(np.float32) - 128


@pytest.fixture(scope="module")
def data():
    return some_pairs(people(30, 6, noise=70), 300)


@pytest.fixture(scope="module")
def result(data):
    return PairVerification(resamples=30)(flat, data)


def scores(data, *, flip):
    rows = flat(data.faces.pixels)
    if flip:
        rows = rows + flat(data.faces.pixels[:, :, ::-1])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows[data.left] * rows[data.right]).sum(axis=1)


@pytest.mark.parametrize(("group", "flip"), [("plain", False), ("flip", True)])
@pytest.mark.parametrize(("published", "rule"), [(False, exact_threshold), (True, grid_threshold)])
def test_every_figure_is_that_of_the_cosines_with_and_without_flip_fusion(data, group, flip, published, rule):
    found = PairVerification(published=published, resamples=3, fars=(0.1, 0.05))(flat, data)
    score = scores(data, flip=flip)
    genuine, impostor = score[data.same], score[~data.same]
    values = {metric: figure.value for metric, figure in found.figures[group].items()}
    expected = {
        "accuracy": fold_accuracy(score, data.same, rule=rule).accuracy.mean(),
        "auc": auc(genuine, impostor),
        "eer": eer(genuine, impostor),
        "tar@1e-1": tar_at_far(genuine, impostor, 0.1),
        "tar@5e-2": tar_at_far(genuine, impostor, 0.05),
    }
    if published:
        expected["published_tar@1e-4"] = np.mean(genuine >= impostor.max())
    assert values == pytest.approx(expected, abs=2e-3)  # float32 rows: a tie may fall the other way
    assert values["auc"] == pytest.approx(expected["auc"], abs=1e-5)


def test_each_distinct_picture_is_read_once_and_embedded_once_besides_its_mirror_image():
    """6,000 pairs as large as LFW's, of 3,000 pictures."""
    data = some_pairs(people(500, 6, size=(2, 3)), 3000)
    seen = []

    def counted(images):
        seen.extend(image.tobytes() for image in images)
        return flat(images)

    data.faces.read[:] = 0
    PairVerification(resamples=2)(counted, data)
    pixels = data.faces.pixels
    assert set(data.faces.read) == {1}
    assert len(np.unique(np.concatenate([data.left, data.right]))) > 2900
    assert len(seen) == 2 * len(data.faces) == 6000
    own = [image.tobytes() for image in pixels] + [image[:, ::-1].tobytes() for image in pixels]
    assert sorted(seen) == sorted(own)


def test_intervals_resample_people_and_a_pair_counts_as_often_as_both_were_drawn():
    data = some_pairs(people(8, 5, noise=90), 60)
    found = PairVerification(resamples=25, seed=3, confidence=0.9, fars=(0.2,))(flat, data)
    score, label = scores(data, flip=False), data.faces.labels
    correct = fold_accuracy(score, data.same).correct
    rng, drawn = np.random.default_rng(3), {"accuracy": [], "auc": [], "tar@2e-1": []}
    for _ in range(25):
        count = rng.multinomial(8, np.full(8, 1 / 8))
        repeated = [
            pair
            for pair, (a, b) in enumerate(zip(label[data.left], label[data.right], strict=True))
            for _ in range(count[a] if a == b else count[a] * count[b])
        ]
        genuine, impostor = (score[[p for p in repeated if data.same[p] == kind]] for kind in (True, False))
        drawn["accuracy"].append(np.mean(correct[repeated]))
        drawn["auc"].append(auc(genuine, impostor))
        drawn["tar@2e-1"].append(tar_at_far(genuine, impostor, 0.2))
    for metric, values in drawn.items():
        figure = found.figures["plain"][metric]
        assert figure[1:] == pytest.approx(np.quantile(values, [0.05, 0.95]), abs=1e-6), metric
        np.testing.assert_allclose(found.draws["plain"][metric], values, atol=1e-6)


def test_trials_say_of_each_pair_whether_it_was_judged_rightly_and_whose_it_is(data, result):
    for group, flip in (("plain", False), ("flip", True)):
        trials = result.trials[group]["accuracy"]
        assert trials.value.mean() == pytest.approx(result.figures[group]["accuracy"].value)
        np.testing.assert_array_equal(trials.person, data.faces.labels[data.left])
        assert (trials.value == fold_accuracy(scores(data, flip=flip), data.same).correct).mean() > 0.99


def test_curves_are_the_roc_and_the_histograms_of_both_kinds_of_pairs(data, result):
    for group in ("plain", "flip"):
        roc = result.curves[group]["roc"]
        assert np.diff(roc.x) @ (roc.y[1:] + roc.y[:-1]) / 2 == pytest.approx(result.figures[group]["auc"].value)
        genuine, impostor = result.curves[group]["genuine"], result.curves[group]["impostor"]
        assert genuine.y.sum() == pytest.approx(1)
        assert genuine.x @ genuine.y > impostor.x @ impostor.y


def test_the_worst_pairs_are_named_genuine_ones_from_the_lowest_then_impostors_from_the_highest(data, result):
    score = scores(data, flip=False)
    assert [pair.same for pair in result.worst] == [True] * 10 + [False] * 10
    found = np.array([pair.score for pair in result.worst])
    np.testing.assert_allclose(found[:10], np.sort(score[data.same])[:10], atol=1e-5)
    np.testing.assert_allclose(found[10:], np.sort(score[~data.same])[:-11:-1], atol=1e-5)
    pair = int(score[data.same].argmin()) + 0
    at = np.flatnonzero(data.same)[pair]
    assert (result.worst[0].left, result.worst[0].right) == (
        data.faces.name(data.left[at]),
        data.faces.name(data.right[at]),
    )


def test_of_pairs_that_score_the_same_the_first_are_shown():
    tied = ScoredPairs(np.zeros(30), np.arange(30) % 2 == 0, np.zeros(30, int), np.ones(30, int))
    shown = worst_pairs(tied, str, str, count=3)
    assert [pair.left for pair in shown] == ["0", "2", "4", "1", "3", "5"]


def test_unasked_only_fars_that_the_impostors_resolve_are_measured_and_the_others_are_noted(result):
    assert [metric for metric in result.figures["plain"] if metric.startswith("tar@")] == ["tar@1e-1"]
    assert any("tar@1e-2 and below are left out: 300 impostor pairs do not resolve" in note for note in result.notes)
    assert result.settings["fars"] == [0.1]
    assert resolvable_fars(10**8) == (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def test_a_far_asked_for_that_cannot_be_resolved_is_refused_before_anything_is_embedded(data):
    def never(images):
        raise AssertionError("embedded for nothing")

    with pytest.raises(ProtocolError, match=r"300 impostor pairs cannot resolve FAR 0.001.*smallest .* is 0.0334"):
        PairVerification(fars=(0.1, 1e-3))(never, data)
    with pytest.raises(ProtocolError, match="600 pairs do not fill 1000 folds"):
        PairVerification(folds=1000)(never, data)


def test_the_notes_say_what_decides_the_published_tar_and_how_the_folds_spread(data, result):
    published = PairVerification(published=True, resamples=2)(flat, data)
    assert any("single highest of 300 impostor scores, so one impostor score decides" in n for n in published.notes)
    assert "published_tar@1e-4" not in result.figures["plain"]
    assert set(published.figures["plain"]) - set(published.draws["plain"]) == {"published_tar@1e-4"}
    spread = fold_accuracy(scores(data, flip=False), data.same).accuracy
    assert any(f"accuracy {100 * spread.mean():.2f} +- {100 * spread.std():.2f} %" in note for note in result.notes)
    assert any("30 of 30 people appear in more than one fold" in note for note in result.notes)


def test_with_ten_thousand_impostors_the_published_tar_no_longer_hangs_on_one():
    label = np.arange(200) // 2
    rng = np.random.default_rng(0)
    left, right = np.arange(0, 200, 2), np.arange(1, 200, 2)
    others = np.array([(a, b) for a in range(200) for b in range(a) if label[a] != label[b]])[:10000]
    order = rng.permutation(len(left) + len(others))
    data = GivenPairs(
        people(100, 2),
        np.concatenate([left, others[:, 0]])[order],
        np.concatenate([right, others[:, 1]])[order],
        np.concatenate([np.ones(100, bool), np.zeros(10000, bool)])[order],
    )
    found = PairVerification(published=True, resamples=2)(flat, data)
    assert any("at least impostor 2 of 10000" in note for note in found.notes)
    assert "tar@1e-3" in found.figures["flip"]


def test_doubtful_pairs_are_counted_in_the_notes(data):
    odd = data._replace(right=data.right.copy(), same=data.same.copy())
    odd.right[0] = odd.left[0]
    odd.same[1] = False
    notes = PairVerification(resamples=2)(flat, odd).notes
    assert "1 pairs show one picture twice" in notes
    assert any(note.startswith("1 pairs are labelled against the people") for note in notes)


def test_people_seen_in_one_fold_only_are_not_complained_of():
    parts = [some_pairs(people(5, 4, seed=seed), 10, folds=1, seed=seed) for seed in range(2)]
    both = CountedFaces(
        np.concatenate([p.faces.pixels for p in parts]),
        np.concatenate([parts[0].faces.labels, 5 + parts[1].faces.labels]),
    )
    joined = GivenPairs(
        both,
        np.concatenate([parts[0].left, 20 + parts[1].left]),
        np.concatenate([parts[0].right, 20 + parts[1].right]),
        np.concatenate([p.same for p in parts]),
    )
    assert not any("more than one fold" in n for n in PairVerification(folds=2, resamples=2)(flat, joined).notes)


def test_the_fingerprint_is_of_pictures_and_pairs(data, result):
    swapped = data._replace(left=data.right, right=data.left)
    again, other = (PairVerification(resamples=2)(flat, pairs) for pairs in (data, swapped))
    assert again.data == result.data
    assert other.data["fingerprint"] != result.data["fingerprint"]
    assert {k: result.data[k] for k in ("pictures", "people", "pairs")} == {"pictures": 180, "people": 30, "pairs": 600}


def test_options_are_settings_and_wrong_ones_are_refused(result):
    assert result.settings == {
        "folds": 10,
        "fars": [0.1],
        "published": False,
        "confidence": 0.95,
        "resamples": 30,
        "seed": 0,
        "batch_size": 128,
        "matcher": "cosine",
    }
    for wrong in ({"folds": 1}, {"batch_size": 0}, {"confidence": 2}, {"resamples": 0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            PROTOCOLS.build({"name": "pairs", **wrong})
    with pytest.raises(ProtocolError, match="strictly between 0 and 1"):
        PairVerification(fars=(0.0,))


def test_the_result_says_which_numpy_drew_its_people(result):
    """`compare` pairs draws of one version only."""
    assert result.versions["numpy"] == np.__version__


def test_the_result_survives_json(result, tmp_path):
    result.save(tmp_path / "result.json")
    again = type(result).load(tmp_path / "result.json")
    assert again.to_dict() == result.to_dict()


def test_pairs_are_scored_in_chunks_as_in_one():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    left, right = rng.integers(0, 50, (2, 70000))
    np.testing.assert_allclose(pair_scores(rows, left, right), (rows[left] * rows[right]).sum(axis=1), atol=1e-6)


def test_a_draw_that_leaves_no_genuine_pair_is_drawn_again():
    pairs = ScoredPairs(
        np.array([0.9, 0.1, 0.2]), np.array([True, False, False]), np.array([0, 0, 1]), np.array([0, 1, 2])
    )
    found = pair_figures(
        pairs, num_people=3, fars=(), bootstrap=Bootstrap(resamples=40), others={"mean": weighted_mean(pairs.score)}
    )
    assert found.estimates["auc"] == (1, 1, 1)
    assert found.estimates["mean"].value == pytest.approx(0.4)
    assert len(found.draws["mean"]) == 40
