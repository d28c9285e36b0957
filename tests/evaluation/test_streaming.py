import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.evaluation import streaming
from occmask.evaluation.bootstrap import Bootstrap
from occmask.evaluation.figure_names import at_far
from occmask.evaluation.histograms import ScoreHistogram
from occmask.evaluation.metrics import auc, eer, roc, tar_at_far
from occmask.evaluation.recognition import Verification
from occmask.evaluation.streaming import stream_verification
from occmask.evaluation.tiles import full_precision, highest_scores, scores_at, single_unit_rows

ONCE = Bootstrap(resamples=2)


def tar_of(found, far):
    return found.estimates[at_far("tar", far)]


# Corners of a cube of four dimensions: products are exact in float32 and in float64, and most of them tie.
corners = st.tuples(*[st.sampled_from([-0.5, 0.5])] * 4)


@st.composite
def labelled(draw, most=14):
    rows = draw(st.lists(st.tuples(st.integers(0, 4), corners), min_size=2, max_size=most))
    return np.array([r[1] for r in rows]), np.array([r[0] for r in rows])


def all_pairs(a, a_label, b, b_label, kept):
    score, same = a @ b.T, a_label[:, None] == b_label
    return score[same & kept], score[~same & kept]


def resolvable(genuine, impostor, fars):
    return tuple(f for f in fars if len(impostor) * f * (1 + 1e-12) >= 10) if len(genuine) and len(impostor) else ()


@pytest.fixture
def tiny_tail(monkeypatch):
    """Hold as few pairs as a large set would, however small the set is."""
    monkeypatch.setattr(streaming, "_ALL_PAIRS", 0)
    monkeypatch.setattr(streaming, "_SPARE", 0)


@pytest.mark.usefixtures("tiny_tail")
@settings(suppress_health_check=["function_scoped_fixture", "too_slow", "filter_too_much"], deadline=None)
@given(labelled(), labelled(), st.integers(1, 6), st.data())
def test_streamed_tar_is_that_of_the_whole_score_matrix(left, right, block, data):
    (a, a_label), (b, b_label) = left, right
    out = data.draw(st.lists(st.tuples(st.integers(0, len(a) - 1), st.integers(0, len(b) - 1)), max_size=5))
    kept = np.ones((len(a), len(b)), bool)
    kept[tuple(np.array(out, int).reshape(-1, 2).T)] = False
    genuine, impostor = all_pairs(a, a_label, b, b_label, kept)
    fars = resolvable(genuine, impostor, (0.1, 0.29, 0.5, 0.9))
    assume(fars)
    excluded = np.array(out, int).reshape(-1, 2).T
    found = stream_verification(
        a, a_label, b, b_label, fars=fars, bootstrap=ONCE, excluded=excluded, block=block, num_worst=4
    )
    assert (found.num_genuine, found.num_impostor) == (len(genuine), len(impostor))
    descending = np.sort(impostor)[::-1]
    for far in fars:
        assert tar_of(found, far).value == tar_at_far(genuine, impostor, far)
        assert found.threshold[far] == descending[math.floor(far * len(impostor) * (1 + 1e-12))]
    assert list(found.lowest_genuine.score) == list(np.sort(genuine)[:4])
    assert list(found.highest_impostor.score) == list(descending[:4])
    for pairs, same in ((found.lowest_genuine, True), (found.highest_impostor, False)):
        for i, j, score in zip(*pairs, strict=True):
            assert kept[i, j]
            assert (a_label[i] == b_label[j]) == same
            assert a[i] @ b[j] == score
    assert sum(found.genuine_histogram.y) == pytest.approx(1)
    assert abs(found.auc_within.value - auc(genuine, impostor)) <= found.auc_within.error + 1e-9
    assert abs(found.eer_within.value - eer(genuine, impostor)) <= found.eer_within.error + 1e-9
    exact = roc(genuine, impostor)
    vertices = set(zip(exact.far.round(9), exact.tar.round(9), strict=True))
    assert {*zip(found.roc.x.round(9), found.roc.y.round(9), strict=True)} <= vertices


@pytest.mark.usefixtures("tiny_tail")
@settings(suppress_health_check=["function_scoped_fixture", "too_slow", "filter_too_much"], deadline=None)
@given(labelled(most=20), st.integers(1, 7), st.integers(0, 3))
def test_a_set_compared_with_itself_counts_each_pair_once(faces, block, seed):
    a, label = faces
    upper = np.triu(np.ones((len(a), len(a)), bool), 1)
    genuine, impostor = all_pairs(a, label, a, label, upper)
    fars = resolvable(genuine, impostor, (0.3, 0.6))
    assume(fars)
    found = stream_verification(a, label, fars=fars, bootstrap=ONCE, block=block)
    assert (found.num_genuine, found.num_impostor) == (len(genuine), len(impostor))
    assert [tar_of(found, f).value for f in fars] == [tar_at_far(genuine, impostor, f) for f in fars]
    shuffled = np.random.default_rng(seed).permutation(len(a))
    other = stream_verification(a[shuffled], label[shuffled], fars=fars, bootstrap=ONCE, block=block + 1)
    assert [tar_of(other, f).value for f in fars] == [tar_of(found, f).value for f in fars]


def faces(num_people=30, each=3, *, noise=1.0, width=24, seed=0):
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(num_people) * 2 + 1, each)
    rows = np.repeat(rng.normal(size=(num_people, width)), each, axis=0) + noise * rng.normal(size=(len(label), width))
    return rows, label


@pytest.mark.parametrize("hold_all", [True, False])
def test_intervals_are_those_of_verification_that_holds_every_pair(monkeypatch, hold_all):
    if not hold_all:
        monkeypatch.setattr(streaming, "_ALL_PAIRS", 0)
        monkeypatch.setattr(streaming, "_SPARE", 0)
    rng = np.random.default_rng(1)
    a, b = (rng.choice([-0.5, 0.5], size=(90, 4)) for _ in range(2))  # exact products: nothing may differ
    label = np.repeat(np.arange(30), 3)
    whole = Verification(fars=(0.01, 0.2), resamples=40, seed=3)(a, label, b, label, excluded=np.eye(90, dtype=bool))
    found = stream_verification(
        a,
        label,
        b,
        label,
        fars=(0.01, 0.2),
        bootstrap=Bootstrap(resamples=40, seed=3),
        excluded=np.stack([np.arange(90)] * 2),
        block=32,
    )
    assert {far: tar_of(found, far) for far in whole.tar} == whole.tar
    assert {len(draws) for draws in found.draws.values()} == {40}
    assert found.num_held == found.num_impostor if hold_all else found.num_held < found.num_impostor
    rest = {name: figure for name, figure in found.estimates.items() if not name.startswith("tar")}
    assert rest == ({"auc": whole.auc, "eer": whole.eer} if hold_all else {})


@pytest.mark.usefixtures("tiny_tail")
@settings(max_examples=50, suppress_health_check=["function_scoped_fixture", "too_slow"], deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 8), st.sampled_from([(0.1,), (0.05, 0.15), (0.3,)]))
def test_every_draw_of_a_short_tail_is_that_of_all_pairs(seed, num_people, fars):
    rng = np.random.default_rng(seed)
    rows = rng.choice([-0.5, 0.5], size=(3 * num_people, 4))
    label = rng.integers(0, num_people, len(rows))
    label[:4] = 0, 0, 1, 1
    bootstrap = Bootstrap(resamples=15, seed=seed)
    same = np.stack([np.arange(len(rows))] * 2)
    num_impostor = int((label[:, None] != label).sum())
    assume(min(fars) * num_impostor >= 10)
    found = stream_verification(rows, label, rows, label, fars=fars, bootstrap=bootstrap, excluded=same)
    whole = Verification(fars=fars, resamples=15, seed=seed)(
        rows, label, rows, label, excluded=np.eye(len(rows), dtype=bool)
    )
    assert {far: tar_of(found, far) for far in fars} == whole.tar


@pytest.mark.parametrize("first", [1, 37, 38, 39, 100])
@pytest.mark.parametrize("fars", [(0.1,), (0.03, 0.1, 0.2)])
def test_it_does_not_matter_how_many_pairs_are_held_at_first(monkeypatch, first, fars):
    a, label = faces(20, 1)  # 380 impostor pairs
    b, _ = faces(20, 1, seed=0, noise=1.5)
    monkeypatch.setattr(streaming, "_first_tail", lambda *_: first)
    found = stream_verification(a, label, b, label, fars=fars, bootstrap=Bootstrap(resamples=30))
    whole = Verification(fars=fars, resamples=30)(a, label, b, label)
    assert {far: tar_of(found, far) for far in fars} == whole.tar
    assert found.num_held > 0.1 * 380


@given(st.integers(0, 10**6), st.sampled_from([1e-5, 1e-4, 1e-3]))
def test_a_histogram_knows_how_wrong_it_may_be(seed, width):
    """Scores so close together that a few bins hold them all."""
    rng = np.random.default_rng(seed)
    genuine, impostor = (rng.normal(mean * width, width, 40).astype(np.float32) for mean in (1, 0))
    first, second = ScoreHistogram(), ScoreHistogram()
    first.add(torch.from_numpy(genuine))
    second.add(torch.from_numpy(impostor))
    for found, exact in ((first.auc(second), auc(genuine, impostor)), (first.eer(second), eer(genuine, impostor))):
        assert abs(found.value - exact) <= found.error + 1e-12
        assert found.error < 0.51


@pytest.mark.usefixtures("tiny_tail")
def test_the_curve_has_no_gap_between_the_scores_that_were_held_and_the_others():
    a, label = faces(60, 4, noise=2.0)
    curve = stream_verification(a, label, fars=(1e-3,), bootstrap=ONCE).roc
    assert (curve.x[0], curve.x[-1], curve.y[-1]) == (0, 1, 1)
    assert np.diff(curve.x).max() < 0.02
    assert len(curve.x) <= 257
    assert curve.x[curve.x > 0].min() < 1e-4


def test_float_scores_agree_with_verification_in_double_precision():
    a, label = faces()
    b, _ = faces(seed=0, noise=1.3)
    options = {"fars": (0.01, 0.1)}
    whole = Verification(resamples=10, **options)(a, label, b, label)
    found = stream_verification(a, label, b, label, bootstrap=Bootstrap(resamples=10), block=17, **options)
    for far in options["fars"]:
        assert tar_of(found, far) == pytest.approx(whole.tar[far], abs=1e-9)
    assert found.estimates["auc"] == pytest.approx(whole.auc, abs=1e-6)
    assert found.estimates["eer"] == pytest.approx(whole.eer, abs=1e-3)
    assert found.auc_within.value == pytest.approx(whole.auc.value, abs=found.auc_within.error + 1e-6)


@pytest.mark.usefixtures("tiny_tail")
def test_a_tail_too_short_for_a_resample_is_made_longer_and_the_result_says_so():
    # Two people look alike and are all the false accepts there are: drawn twice each, they weigh four times as much.
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(12, 64)).repeat(6, axis=0) + 0.05 * rng.normal(size=(72, 64))
    rows[6:12] = rows[:6] + 0.01
    label = np.repeat(np.arange(12), 6)
    far = 0.045  # 106 of 2376 pairs; 36 are of the pair of twins
    found = stream_verification(rows, label, fars=(far,), bootstrap=Bootstrap(resamples=60))
    assert any("more impostor pairs than were held" in note for note in found.notes)
    once = np.tril(np.ones((72, 72), bool))
    whole = Verification(fars=(far,), resamples=60)(rows, label, rows, label, excluded=once)
    assert tar_of(found, far) == pytest.approx(whole.tar[far], abs=1e-9)


def test_rows_of_one_direction_accept_nobody():
    label = np.repeat(np.arange(10), 2)
    found = stream_verification(np.ones((20, 4)), label, fars=(0.1,), bootstrap=ONCE, block=3)
    assert tar_of(found, 0.1) == (0, 0, 0)
    assert found.estimates["auc"].value == found.auc_within.value == 0.5
    assert found.auc_within.error == 0.5  # all in one bin: the histogram alone says nothing


def test_ties_that_cannot_be_held_are_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(streaming, "_SPARE", 0)
    label = np.repeat(np.arange(30), 2)
    with pytest.raises(ProtocolError, match=r"more than 400 impostor pairs score 1 or higher.*raise max_tail"):
        stream_verification(np.ones((60, 4)), label, fars=(0.01,), bootstrap=ONCE, max_tail=200)
    with pytest.raises(ProtocolError, match=r"needs at least 871 of them held, and max_tail is 200"):
        stream_verification(np.ones((60, 4)), label, fars=(0.5,), bootstrap=ONCE, max_tail=200)


A, LABEL = faces(4, 3)


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ProtocolError, "one person", {"left_label": LABEL * 0, "right_label": LABEL * 0}),
        (ProtocolError, "no pair shows the same person", {"right_label": LABEL + 100}),
        (ProtocolError, "no pair shows two different", {"excluded": np.argwhere(LABEL[:, None] != LABEL).T}),
        (ProtocolError, "cannot resolve FAR 0.001.*smallest FAR they resolve is 0.0926", {"fars": (1e-3,)}),
        (ProtocolError, "strictly between 0 and 1", {"fars": (1.0,)}),
        (ProtocolError, "row 2 of the right embeddings holds NaN", {"right": A * [[1], [1], [np.nan], *[[1]] * 9]}),
        (ProtocolError, "belong together", {"right_label": None}),
        (ProtocolError, "12 and 12 embeddings, but 11 and 12 labels", {"left_label": LABEL[1:]}),
        (ProtocolError, r"excluded pairs index the 12 right pictures, 0\.\.11", {"excluded": [[0], [12]]}),
        (ShapeError, "one model", {"right": A[:, 1:]}),
        (ShapeError, r"\(2, n\) indices", {"excluded": np.eye(12)}),
        (OptionError, "block is 0", {"block": 0}),
    ],
)
def test_streaming_says_what_is_wrong_with_its_input(error, message, change):
    given_ = {"left": A, "left_label": LABEL, "right": A, "right_label": LABEL, "fars": (0.1,), "bootstrap": ONCE}
    with pytest.raises(error, match=message):
        stream_verification(**{**given_, **change})


def test_an_error_in_a_late_row_names_that_row():
    rows = np.ones((20000, 2), np.float32)
    rows[17000] = 0
    with pytest.raises(ProtocolError, match="row 17000 of the left embeddings is all zeros"):
        single_unit_rows("left", rows)
    rows[17000] = 1
    np.testing.assert_allclose(single_unit_rows("left", rows), math.sqrt(0.5))


def test_the_processes_choice_of_reduced_precision_is_set_aside_and_restored():
    torch.set_float32_matmul_precision("medium")
    try:
        stream_verification(A, LABEL, fars=(), bootstrap=ONCE)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_tf32_chosen_by_torch_s_newer_setting_is_set_aside_too():
    setting = torch.backends.cuda.matmul
    before = setting.fp32_precision
    setting.fp32_precision = "tf32"
    try:
        with full_precision():
            assert setting.fp32_precision == "ieee"
        assert setting.fp32_precision == "tf32"
    finally:
        setting.fp32_precision = before


def test_scores_are_those_of_float32_within_autocast():
    wanted = stream_verification(A, LABEL, fars=(), bootstrap=ONCE)
    with torch.autocast("cpu", torch.bfloat16):
        found = stream_verification(A, LABEL, fars=(), bootstrap=ONCE)
    np.testing.assert_array_equal(found.highest_impostor.score, wanted.highest_impostor.score)
    assert found.estimates == wanted.estimates


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 12), st.integers(0, 9))
def test_chosen_and_highest_scores_are_found_whatever_the_tiles(block, count, width, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.choice([-0.5, 0.5], size=(7, 4)), rng.choice([-0.5, 0.5], size=(width, 4))
    left, right = torch.tensor(a, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)
    row, column = rng.integers(0, 7, 9), rng.integers(0, width, 9)
    np.testing.assert_array_equal(scores_at(left, right, row, column, block=block), (a @ b.T)[row, column])
    best = np.full((7, count), -np.inf)
    best[:, :width] = -np.sort(-(a @ b.T), axis=1)[:, :count]
    np.testing.assert_array_equal(highest_scores(left, right, count=count, block=block), best)


@pytest.mark.gpu
def test_a_gpu_finds_the_same():
    rng = np.random.default_rng(1)
    rows, label = rng.choice([-0.5, 0.5], size=(300, 4)), np.repeat(np.arange(100), 3)
    found = [
        stream_verification(rows, label, fars=(0.01,), bootstrap=ONCE, device=device, block=64)
        for device in ("cpu", "cuda")
    ]
    assert found[0].estimates == found[1].estimates
    assert found[0].auc_within == found[1].auc_within


MEASURE = """
import resource, sys
import numpy as np
from occmask.evaluation.bootstrap import Bootstrap
from occmask.evaluation.streaming import stream_verification
import torch
torch.set_num_threads(1)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
n = int(sys.argv[1])
rows = np.random.default_rng(0).standard_normal((n, 64), dtype=np.float32)
stream_verification(rows[:400], np.arange(400) // 2, fars=(1e-3,), bootstrap=Bootstrap(resamples=2))
before = peak()
found = stream_verification(rows, np.arange(n) // 2, fars=(1e-4,), bootstrap=Bootstrap(resamples=20))
print(found.num_impostor, peak() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_pairs():
    grown = {}
    for n in (3000, 9000):
        out = subprocess.run([sys.executable, "-c", MEASURE, str(n)], capture_output=True, text=True, check=True)
        pairs, mebibytes = out.stdout.split()
        grown[int(pairs)] = float(mebibytes)
    few, many = sorted(grown)
    assert many > 40e6
    assert grown[many] < 200  # MiB; the scores alone would be 154 and their indices 309
    assert grown[many] - grown[few] < 60
