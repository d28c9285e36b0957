import numpy as np
import pytest

from occmask.data.faces import FaceSet
from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.evaluation.metrics import auc, eer, tar_at_far
from occmask.protocols import PROTOCOLS
from occmask.protocols.inputs import PartialAndWhole
from occmask.protocols.pfr import PartialFaces

PEOPLE = ("ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal")


def flat(images):
    return images.reshape(len(images), -1).astype(np.float32) - 128


@pytest.fixture(scope="module")
def data():
    """Whole faces of eight people, and noisier ones of which the right part is black."""
    rng = np.random.default_rng(0)
    own = rng.integers(30, 226, (8, 6, 8, 3))

    def pictures(label, noise):
        return np.clip(own[label] + rng.normal(0, noise, (len(label), 6, 8, 3)), 0, 255).astype(np.uint8)

    known, new = np.repeat(np.arange(8), 3), np.repeat(np.arange(8), 10)
    gallery = FaceSet.from_arrays(pictures(known, 40), known, people=PEOPLE)
    images = pictures(new, 90)
    columns = rng.integers(1, 9, len(new))
    for image, column in zip(images, columns, strict=True):
        image[:, column:] = 0
    backwards = FaceSet.from_arrays(  # the same people under other numbers
        images, 7 - new, people=PEOPLE[::-1], names=[f"probe {i}" for i in range(len(new))]
    )
    return PartialAndWhole(backwards, gallery, columns / 8)


@pytest.fixture(scope="module")
def result(data):
    return PartialFaces(resamples=20, fars=(0.1,))(flat, data)


def cosines(data):
    a, b = (flat(faces.images()).astype(float) for faces in (data.probes, data.gallery))
    return (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T


def persons(faces):
    return np.array([faces.people[label] for label in faces.labels])


BINS = {
    "all": (0, 1),
    "visible_0_25": (0, 0.25),
    "visible_25_50": (0.25, 0.5),
    "visible_50_75": (0.5, 0.75),
    "visible_75_100": (0.75, 1),
}


def test_each_bin_measures_the_probes_that_show_so_much_against_the_whole_gallery(data, result):
    score, probe, known = cosines(data), persons(data.probes), persons(data.gallery)
    assert list(result.figures) == list(BINS)
    for group, (low, high) in BINS.items():
        chosen = (data.visible > low) & (data.visible <= high)
        same = probe[chosen][:, None] == known
        genuine, impostor = score[chosen][same], score[chosen][~same]
        values = {metric: figure.value for metric, figure in result.figures[group].items()}
        expected = {
            "rank1": np.mean(known[score[chosen].argmax(axis=1)] == probe[chosen]),
            "auc": auc(genuine, impostor),
            "eer": eer(genuine, impostor),
            "tar@1e-1": tar_at_far(genuine, impostor, 0.1),
        }
        assert values == pytest.approx(expected, abs=1e-6), group
        assert any(f"{chosen.sum()} in {group}" in note for note in result.notes)


def test_more_of_a_face_is_recognised_better_here(result):
    low, high = (result.figures[group]["rank1"].value for group in ("visible_0_25", "visible_75_100"))
    assert low < high


def test_intervals_and_trials_are_over_the_probes_people(data, result):
    for group, (low, high) in BINS.items():
        chosen = (data.visible > low) & (data.visible <= high)
        trials = result.trials[group]["rank1"]
        assert len(trials.value) == chosen.sum()
        assert list(np.array(PEOPLE)[trials.person]) == list(persons(data.probes)[chosen])
        figure = result.figures[group]["rank1"]
        assert trials.value.mean() == pytest.approx(figure.value)
        assert figure.low <= figure.value <= figure.high
        assert result.draws[group]["auc"].shape == (20,)


def test_unasked_each_bin_measures_the_fars_that_it_resolves(data):
    found = PartialFaces(resamples=2)(flat, data)
    assert [m for m in found.figures["all"] if m.startswith("tar")] == ["tar@1e-1", "tar@1e-2"]
    assert [m for m in found.figures["visible_0_25"] if m.startswith("tar")] == ["tar@1e-1"]
    assert any(note.startswith("visible_0_25: tar@1e-2 and below are left out") for note in found.notes)


def test_a_far_that_a_bin_cannot_resolve_is_refused_before_anything_is_embedded(data):
    def never(images):
        raise AssertionError("embedded for nothing")

    with pytest.raises(ProtocolError, match=r"cannot resolve FAR 0\.01"):
        PartialFaces(fars=(1e-2,))(never, data)


def test_other_bins_may_be_asked_for_and_what_has_too_few_people_is_left_out_and_noted(data):
    visible = np.where(persons(data.probes) == "ann", 0.05, 0.9)
    found = PartialFaces(bins=(0.1, 0.3, 1), resamples=2)(flat, data._replace(visible=visible))
    assert list(found.figures) == ["all", "visible_30_100"]
    assert "visible_0_10 is left out: 10 probes of one person" in found.notes
    assert "visible_10_30 is left out: no probes" in found.notes
    assert "probes: 80 in all, 70 in visible_30_100" in found.notes


def test_the_worst_pairs_are_a_probe_and_a_gallery_picture(data, result):
    score = cosines(data)
    same = persons(data.probes)[:, None] == persons(data.gallery)
    worst = np.unravel_index(np.where(same, -2, score).argmax(), score.shape)
    assert (result.worst[10].left, result.worst[10].right) == (f"probe {worst[0]}", f"picture {worst[1]}")
    assert result.worst[0].score == pytest.approx(score[same].min(), abs=1e-6)


def test_flip_fusion_is_an_option(data, result):
    fused = PartialFaces(resamples=2, flip=True)(flat, data)
    assert fused.figures["all"]["auc"].value != result.figures["all"]["auc"].value
    assert fused.settings["flip"]
    assert fused.data == result.data


def test_the_fingerprint_is_of_probes_gallery_and_shares(data, result):
    other = PartialFaces(resamples=2)(flat, data._replace(visible=data.visible / 2))
    assert other.data["fingerprint"] != result.data["fingerprint"]
    assert (result.data["pictures"], result.data["probes"], result.data["people"]) == (104, 80, 8)


def test_the_result_says_which_numpy_drew_its_people(result):
    assert result.versions["numpy"] == np.__version__


def test_probes_called_like_gallery_pictures_are_noted(data):
    parts = PartialAndWhole(data.gallery, data.gallery, np.full(len(data.gallery), 0.5))
    notes = PartialFaces(resamples=2)(flat, parts).notes
    assert any(
        note.startswith("24 of 24 probes bear the name of a gallery picture of the same person") for note in notes
    )
    assert not any("bear the name" in note for note in PartialFaces(resamples=2)(flat, data).notes)


def test_what_cannot_be_measured_is_refused(data):
    measure = PartialFaces(resamples=2)
    with pytest.raises(ShapeError, match=r"one a probe, \(80,\)"):
        measure(flat, data._replace(visible=data.visible[1:]))
    for share in (0, 1.5, np.nan):
        with pytest.raises(ProtocolError, match=f"probe 3 is {share:g}; it is above 0"):
            measure(flat, data._replace(visible=np.where(np.arange(80) == 3, share, data.visible)))
    with pytest.raises(ProtocolError, match="no picture of ann, who appear"):
        measure(flat, data._replace(gallery=data.gallery.select(data.gallery.labels > 0)))
    alone = data.probes.select(data.probes.labels == 0)
    with pytest.raises(ProtocolError, match="fewer than two people"):
        measure(flat, PartialAndWhole(alone, data.gallery, np.ones(len(alone))))


def test_more_pairs_than_memory_holds_are_refused(data, monkeypatch):
    monkeypatch.setattr("occmask.protocols.pfr._MOST_PAIRS", 80 * 24 - 1)
    with pytest.raises(ProtocolError, match=r"80 probes x 24 pictures of the gallery are more than 1,919 pairs"):
        PartialFaces()(flat, data)


def test_wrong_options_are_refused():
    for bins in ((), (0.5,), (0.5, 0.5, 1), (0, 1), (0.7, 0.2, 1)):
        with pytest.raises(OptionError, match="bins are upper edges"):
            PartialFaces(bins=bins)
    for wrong in ({"batch_size": 0}, {"confidence": 2}, {"resamples": 0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            PROTOCOLS.build({"name": "pfr", **wrong})
