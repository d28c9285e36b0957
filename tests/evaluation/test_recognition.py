import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.evaluation.bootstrap import Bootstrap, paired_difference
from occmask.evaluation.metrics import auc, eer, tar_at_far
from occmask.evaluation.recognition import Identification, Verification
from occmask.protocols import PROTOCOLS


def people(num_people=12, each=4, *, noise=1.5, width=16, seed=0):
    """Embeddings of people who differ from picture to picture."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(num_people) * 3 + 5, each)  # labels need not be 0, 1, 2
    centre = rng.normal(size=(num_people, width))
    return np.repeat(centre, each, axis=0) + noise * rng.normal(size=(len(label), width)), label


def cosine(a, b):
    return a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)


def test_verification_measures_the_cosine_of_all_pairs_that_are_left_in():
    a, label = people(seed=1)
    b = a + np.random.default_rng(2).normal(size=a.shape)
    same_photo = np.eye(len(a), dtype=bool)
    result = Verification(fars=(1e-2, 0.1), resamples=20)(a, label, b, label, excluded=same_photo)
    score, same = cosine(a, b), label[:, None] == label
    genuine, impostor = score[same & ~same_photo], score[~same]
    assert (result.num_genuine, result.num_impostor) == (len(genuine), len(impostor)) == (12 * 4 * 3, 48 * 44)
    assert result.auc.value == pytest.approx(auc(genuine, impostor))
    assert result.eer.value == pytest.approx(eer(genuine, impostor))
    assert list(result.tar) == [1e-2, 0.1]
    for far, estimate in result.tar.items():
        assert estimate.value == pytest.approx(tar_at_far(genuine, impostor, far))
    far, tar = result.curve
    assert np.diff(far) @ (tar[1:] + tar[:-1]) / 2 == pytest.approx(result.auc.value)


def test_leaving_the_same_photograph_in_would_flatter_the_result():
    a, label = people(noise=3.0)
    measure = Verification(resamples=5)
    honest = measure(a, label, a, label, excluded=np.eye(len(a), dtype=bool))
    assert honest.auc.value < measure(a, label, a, label).auc.value


def test_verification_resamples_people_a_pair_counting_as_often_as_both_were_drawn():
    a, label = people(6, 3)
    result = Verification(fars=(0.1,), resamples=30, seed=4, confidence=0.9)(a, label, a, label)
    score, names = cosine(a, a), np.unique(label)
    rng, areas, tars = np.random.default_rng(4), [], []
    for _ in range(30):
        drawn = dict(zip(names, rng.multinomial(6, np.full(6, 1 / 6)), strict=True))
        genuine, impostor = [], []
        for i, p in enumerate(label):
            for j, q in enumerate(label):
                if p == q:
                    genuine += [score[i, j]] * drawn[p]
                else:
                    impostor += [score[i, j]] * (drawn[p] * drawn[q])
        areas.append(auc(genuine, impostor))
        tars.append(tar_at_far(genuine, impostor, 0.1))
    assert result.auc[1:] == pytest.approx(np.quantile(areas, [0.05, 0.95]))
    assert result.tar[0.1][1:] == pytest.approx(np.quantile(tars, [0.05, 0.95]))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    a, label = people()
    runs = [Verification(resamples=20, seed=seed)(a, label, a, label).auc for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_scaling_an_embedding_changes_nothing():
    a, label = people()
    scale = np.random.default_rng(3).uniform(1e-160, 1e3, size=(len(a), 1))
    first, second = (Identification(resamples=5)(x[::2], label[::2], x[1::2], label[1::2]) for x in (a, a * scale))
    assert list(first.rank) == list(second.rank)


def test_identification_names_the_person_of_the_most_similar_picture():
    a, label = people(noise=1.8)
    gallery, probe = slice(0, None, 2), slice(1, None, 2)
    result = Identification(resamples=20)(a[gallery], label[gallery], a[probe], label[probe])
    nearest = label[gallery][cosine(a[probe], a[gallery]).argmax(axis=1)]
    assert list(result.correct) == list(nearest == label[probe])
    assert result.rank1.value == np.mean(result.correct) == result.cmc[0]
    assert 0 < result.rank1.low < result.rank1.value < result.rank1.high < 1
    assert len(result.cmc) == 12
    assert result.cmc[-1] == 1


def test_a_model_that_says_the_same_of_everyone_names_nobody():
    label = np.repeat(np.arange(5), 2)
    assert Identification()(np.ones((10, 4)), label, np.ones((10, 4)), label).rank1 == (0, 0, 0)


def test_the_interval_widens_when_the_pictures_of_a_person_fail_together():
    label = np.repeat(np.arange(20), 10)
    scattered = np.tile([0, 1], 100)
    together = np.repeat([0, 1], 100)
    wide, narrow = (Bootstrap().mean(values, label) for values in (together, scattered))
    assert wide.value == narrow.value == 0.5
    assert wide.high - wide.low > 0.3
    assert narrow.high - narrow.low < 1e-9  # everyone is right on half their pictures


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-5, 5)), min_size=2, max_size=12).filter(
        lambda rows: len({label for label, _ in rows}) > 1
    ),
    st.integers(0, 5),
)
def test_the_mean_is_resampled_by_repeating_whole_people(rows, seed):
    label, values = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    estimate = Bootstrap(resamples=9, seed=seed, confidence=0.5).mean(values, label)
    names, rng, means = np.unique(label), np.random.default_rng(seed), []
    for _ in range(9):
        counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))
        means.append(
            np.mean(np.concatenate([np.tile(values[label == n], c) for n, c in zip(names, counts, strict=True)]))
        )
    assert estimate == pytest.approx((values.mean(), *np.quantile(means, [0.25, 0.75])), abs=1e-9)


def test_a_paired_difference_sees_what_two_overlapping_intervals_hide():
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(40), 5)
    hard = np.repeat(rng.random(40), 5)  # some people are hard for both methods
    a = rng.random(200) < hard
    b = a | (rng.random(200) < 0.1)
    first, second = (Bootstrap().mean(x, label) for x in (a, b))
    assert second.low < first.high
    difference = paired_difference(b, a, label)
    assert difference.low > 0
    assert difference.value == pytest.approx(second.value - first.value)


def test_a_method_does_not_differ_from_itself():
    correct = np.random.default_rng(0).random(50) < 0.5
    assert paired_difference(correct, correct, np.repeat(np.arange(10), 5)) == (0, 0, 0)


def test_a_draw_without_genuine_pairs_is_drawn_again():
    left, right = np.eye(3), np.array([[1, 0.1, 0.1], [1, 1, 1], [1, 1, 1]])
    result = Bootstrap(resamples=50).estimates(lambda drawn: (1.0,) if drawn[0] else None, num_people=3)
    assert result == ((1, 1, 1),)
    measured = Verification(fars=(), resamples=50)(left, [0, 1, 2], right, [0, 3, 4])  # one genuine pair in all
    assert measured.num_genuine == 1
    assert measured.auc == (1, 1, 1)


A, LABEL = people(4, 3)


def verify(left=A, left_label=LABEL, right=A, right_label=LABEL, fars=(0.1,), **options):
    return Verification(fars=fars, resamples=2)(left, left_label, right, right_label, **options)


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ProtocolError, "one person", {"left_label": LABEL * 0, "right_label": LABEL * 0}),
        (ProtocolError, "no pair shows the same person", {"right_label": LABEL + 100}),
        (ProtocolError, "no pair shows two different people", {"excluded": LABEL[:, None] != LABEL}),
        (
            ProtocolError,
            "row 2 of the right embeddings holds NaN",
            {"right": np.where(np.arange(12)[:, None] == 2, np.nan, A)},
        ),
        (
            ProtocolError,
            "row 1 of the left embeddings is all zeros",
            {"left": np.where(np.arange(12)[:, None] == 1, 0, A)},
        ),
        (ProtocolError, "no left embeddings", {"left": A[:0], "left_label": LABEL[:0]}),
        (ShapeError, "16 numbers and right embeddings 15", {"right": A[:, 1:]}),
        (ShapeError, r"\(N, D\)", {"left": A[0]}),
        (ShapeError, r"must be \(12,\) integers", {"left_label": LABEL[1:]}),
        (ShapeError, "integers", {"left_label": LABEL.astype(str)}),
        (ShapeError, r"\(12, 12\) booleans", {"excluded": np.eye(12)}),
    ],
)
def test_verification_says_what_is_wrong_with_its_input(error, message, change):
    with pytest.raises(error, match=message):
        verify(**change)


def test_a_far_the_impostors_cannot_resolve_is_refused_and_the_smallest_that_would_do_is_named():
    with pytest.raises(
        ProtocolError, match=r"108 impostor pairs cannot resolve FAR 0.01.*smallest FAR they resolve is 0.0926"
    ):
        verify(fars=(0.5, 1e-2))
    assert list(verify(fars=(0.0926,)).tar) == [0.0926]
    with pytest.raises(ProtocolError, match="no FAR can be resolved"):
        Verification(fars=(0.5,))(np.eye(2), [0, 1], np.eye(2), [0, 1])


@given(st.integers(11, 10**7))
def test_the_smallest_far_that_an_error_names_would_have_worked(num_impostor):
    measure = Verification(fars=(1e-12,))
    with pytest.raises(ProtocolError) as caught:
        measure._check_pairs(1, num_impostor)
    named = float(str(caught.value).rpartition(" ")[2])
    Verification(fars=(named,))._check_pairs(1, num_impostor)
    assert named * num_impostor < 10.2  # and it is not needlessly large


@pytest.mark.parametrize("far", [0.0, 1.0, 2.0, -1e-3])
def test_a_far_outside_0_to_1_is_refused_before_anything_is_measured(far):
    with pytest.raises(ProtocolError, match="strictly between 0 and 1"):
        Verification(fars=(far,))


def test_identification_says_what_is_wrong_with_its_input():
    measure = Identification(resamples=2)
    with pytest.raises(ProtocolError, match="no picture of labels 5, 8"):
        measure(A[6:], LABEL[6:], A, LABEL)
    with pytest.raises(ProtocolError, match="gallery holds one person only"):
        measure(A[:3], LABEL[:3], A[:3], LABEL[:3])
    with pytest.raises(ProtocolError, match="at least two people, not 1"):
        measure(A, LABEL, A[:3], LABEL[:3])
    with pytest.raises(ShapeError, match="from one model"):
        measure(A, LABEL, A[:, 2:], LABEL)


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"confidence": 0}, {"resamples": 0}])
def test_interval_options_are_checked_when_a_protocol_is_built(options):
    for name in PROTOCOLS:
        with pytest.raises(OptionError, match=next(iter(options))):
            PROTOCOLS.build({"name": name, **options})


def test_comparing_different_pictures_is_refused():
    with pytest.raises(ShapeError, match="must be the same ones"):
        paired_difference([1, 0], [1, 0, 1], [0, 1])
    with pytest.raises(ShapeError, match="one label a value"):
        paired_difference([1, 0], [1, 0], [0])
    with pytest.raises(ProtocolError, match="value 1 is NaN"):
        paired_difference([1, np.nan], [1, 0], [0, 1])
