"""The stress protocol: who is enrolled, what is put before whom, and what a planted weakness looks like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.data.faces import FaceSet
from occmask.errors import OptionError, ProtocolError, ShapeError, UnknownNameError
from occmask.evaluation.recognition import Verification
from occmask.occluders import OCCLUDERS
from occmask.occluders.conditions import cover, cover_probes
from occmask.occluders.occluder import TRAIN_OCCLUDERS
from occmask.protocols import PROTOCOLS, stress
from occmask.protocols.compare import compare
from occmask.protocols.covering import DRAWN_OCCLUDERS, blocks, clean_and_areas, held_out, worn
from occmask.protocols.enrolment import ChosenFaces, enrol
from occmask.protocols.result import Result
from occmask.protocols.stress import Stress

HEIGHT, WIDTH = 60, 50
QUICK = {"areas": (0.1, 0.5), "occluders": ("book", "scarf"), "cells": None, "resamples": 20}


def make_faces(people=6, pictures=4, seed=0):
    """Each person has one random pattern of large blocks, a little different in every picture."""
    rng = np.random.default_rng(seed)
    pattern = rng.integers(0, 256, (people, 6, 5, 3)).repeat(10, 1).repeat(10, 2)
    noisy = pattern[:, None] + rng.integers(-8, 9, (people, pictures, HEIGHT, WIDTH, 3))
    images = np.clip(noisy, 0, 255).astype(np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    return FaceSet.from_arrays(images, np.repeat(np.arange(people), pictures))


def blocks_of(images):
    """An embedder that sees the means of 6 x 5 blocks, each picture on its own."""
    means = images.reshape(len(images), 6, 10, 5, 10, 3).mean((2, 4), dtype=np.float64)
    return (means.reshape(len(images), -1) - 127.5).astype(np.float32)


class Omniscient:
    """Knows whom it is shown from the order of the pictures, whatever covers them."""

    def __init__(self, used, probes):
        self.used, self.probes, self.seen = used, probes, 0

    def __call__(self, images):
        places = np.arange(self.seen, self.seen + len(images))
        self.seen += len(images)
        covered = self.probes[(places - len(self.used)) % len(self.probes)]
        labels = np.where(places < len(self.used), self.used[np.minimum(places, len(self.used) - 1)], covered)
        return np.eye(labels.max() + 20, dtype=np.float32)[labels]


def test_the_result_depends_on_the_seed_and_on_nothing_else():
    faces = make_faces()
    plain = [Stress(**QUICK, **more)(blocks_of, faces).to_dict() for more in ({}, {}, {"batch_size": 5}, {"seed": 8})]
    assert plain[0] == plain[1] == plain[2]
    assert plain[0]["trials"]["area_50"]["cosine"] != plain[3]["trials"]["area_50"]["cosine"]
    assert plain[0]["trials"]["clean"] == plain[3]["trials"]["clean"]
    assert Result.from_dict(plain[0]).to_dict() == plain[0]


def test_a_model_that_nothing_fools_has_flat_curves_and_sees_each_covered_picture_once():
    faces = make_faces()
    labels = faces.labels
    embed = Omniscient(labels, labels[np.arange(24) % 4 >= 2])
    result = Stress(cells=3, resamples=20)(embed, faces)
    conditions = ["clean", *(f"area_{n}" for n in (10, 20, 30, 40, 50)), *DRAWN_OCCLUDERS]
    assert list(result.figures) == conditions
    for figures in result.figures.values():
        assert set(figures) == {"rank1", "tar@1e-1", "cosine"}
        assert all(tuple(figure) == pytest.approx((1, 1, 1)) for figure in figures.values())
    for found in result.maps.values():
        assert np.abs(found["fall"]).max() < 1e-6
    assert embed.seen == 24 + 12 * (len(conditions) - 1 + 9)


@pytest.mark.parametrize(("row", "column"), [(3, 1), (0, 4)])
def test_the_map_finds_the_one_place_that_a_model_looks_at(row, column):
    faces = make_faces(people=10)

    def look(images):
        tall, wide = HEIGHT // 5, WIDTH // 5
        seen = images[:, row * tall : (row + 1) * tall, column * wide : (column + 1) * wide].astype(np.float32)
        return seen.reshape(len(images), -1) - 127.5

    result = Stress(areas=(), occluders=(), resamples=20)(look, faces)
    rows, columns = np.indices((5, 5))
    far = (np.abs(rows - row) >= 2) | (np.abs(columns - column) >= 2)
    for metric in ("rank1", "cosine"):
        fall = result.maps[metric]["fall"]
        assert fall[row, column] == fall.max() > 0.2
        assert not fall[far].any()
        assert result.maps[metric]["low"][row, column] > 0
    assert (result.maps["cosine"]["fall"][~far] > 0).all()


def test_covering_more_costs_more():
    figures = Stress(resamples=20, cells=None)(blocks_of, make_faces(people=12)).figures
    cosine = [figures[name]["cosine"].value for name in ("clean", "area_10", "area_30", "area_50")]
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[0] - cosine[-1] > 0.1


def test_occluders_that_no_recipe_trains_on_are_held_out():
    trained = {spec.name for spec in TRAIN_OCCLUDERS}
    result = Stress(areas=(), cells=None, resamples=5)(blocks_of, make_faces())
    marked = result.settings["held_out"]
    assert (
        set(marked)
        == set(DRAWN_OCCLUDERS) - trained
        == {
            "sunglasses",
            "mouth_mask",
            "face_mask",
            "scarf",
            "hand",
            "cup",
        }
    )
    assert set(DRAWN_OCCLUDERS) == set(OCCLUDERS) - {"pictures", "patchwork"}
    assert held_out(["book", "eyeglasses", "patchwork"]) == ()


def test_probes_are_covered_as_in_the_demo_whatever_the_batch():
    images = make_faces().images()[:7]
    conditions = {c.name: c for c in (*clean_and_areas((0.4,)), *worn(("scarf", "hand")))}
    for name, condition in conditions.items():
        whole = cover_probes(images, name, seed=7, grey=True)
        parts = [cover(images[a:b], condition, first=a, seed=7, grey=True) for a, b in ((0, 3), (3, 7))]
        for field in ("images", "box", "covered"):
            assert (np.concatenate([getattr(p, field) for p in parts]) == getattr(whole, field)).all()


def test_a_block_sits_on_its_cell_and_is_clipped_by_the_border():
    images = np.zeros((1, 100, 100, 3), np.uint8)
    boxes = {c.name: cover(images, c, first=0, seed=0, grey=False).box[0] for c in blocks(5, 0.4)}
    assert boxes["cell_0_0"] == pytest.approx([0, 0, 0.3, 0.3])
    assert boxes["cell_2_2"] == pytest.approx([0.3, 0.3, 0.7, 0.7])
    assert boxes["cell_4_1"] == pytest.approx([0.1, 0.7, 0.5, 1.0])


@given(
    labels=st.lists(st.integers(0, 6), min_size=4, max_size=60).map(np.array),
    gallery=st.integers(1, 6),
    people=st.none() | st.integers(2, 4),
)
def test_everybody_is_enrolled_with_their_first_pictures_and_probed_with_the_others(labels, gallery, people):
    counts = np.bincount(labels)
    able = np.flatnonzero(counts >= 2)[:people]
    if len(able) < 2:
        with pytest.raises(ProtocolError, match="at least two must"):
            enrol(labels, gallery=gallery, people=people)
        return
    known, unseen, left_out = enrol(labels, gallery=gallery, people=people)
    assert left_out.tolist() == np.flatnonzero(counts == 1).tolist()
    for one in able:
        own = np.flatnonzero(labels == one)
        number = min(gallery, len(own) // 2)
        assert known[labels[known] == one].tolist() == own[:number].tolist()
        assert unseen[labels[unseen] == one].tolist() == own[number:].tolist()
    assert set(labels[known]) == set(labels[unseen]) == set(able)


def test_people_with_one_picture_are_left_out_by_name():
    faces = make_faces()
    faces = faces.select([0, *range(4, 24)])
    result = Stress(**QUICK)(blocks_of, faces)
    assert result.data["people"] == 5
    assert any("1 person with a single picture (person 0)" in note for note in result.notes)


def test_chosen_faces_are_those_of_the_whole_set():
    faces = make_faces()
    chosen = ChosenFaces(faces, np.array([5, 2, 9]))
    assert [chosen.name(i) for i in range(len(chosen))] == ["picture 5", "picture 2", "picture 9"]
    assert (chosen.images() == faces.images([5, 2, 9])).all()
    assert (chosen.images([2, 0]) == faces.images([9, 5])).all()
    assert chosen.labels.tolist() == [1, 0, 2]
    assert chosen.people == faces.people
    assert chosen.grey == faces.grey


def test_the_result_says_which_numpy_drew_its_people():
    assert Stress(**QUICK)(blocks_of, make_faces()).versions["numpy"] == np.__version__


def test_figures_are_the_means_of_their_trials():
    result = Stress(**QUICK)(blocks_of, make_faces(), locate=lambda images: np.zeros((len(images), 4)))
    for group, trials in result.trials.items():
        assert set(trials) == {"rank1", "cosine", "iou"}
        for metric, (person, value) in trials.items():
            assert result.figures[group][metric].value == pytest.approx(value.mean())
            assert person.tolist() == np.repeat(np.arange(6), 2).tolist()


def test_the_tar_is_that_of_all_pairs_and_keeps_its_draws():
    faces = make_faces(people=10)

    def blurred(images):  # the pattern alone would be recognised whatever covers it
        return blocks_of(images) + 120 * np.random.default_rng(0).normal(size=(len(images), 90)).astype(np.float32)

    result = Stress(**QUICK, far=0.1)(blurred, faces)
    other = Stress(**QUICK, far=0.1)(blocks_of, faces)
    tar = result.figures["area_50"]["tar@1e-1"]
    rows = np.array([0.025, 0.975])
    for group in result.figures:
        drawn = result.draws[group]["tar@1e-1"]
        assert drawn.shape == (20,)
        assert np.quantile(drawn, rows) == pytest.approx(result.figures[group]["tar@1e-1"][1:])
    assert 0 < tar.value < 1
    found = {(f.group, f.metric): f for f in compare(result, other).figures}["area_50", "tar@1e-1"]
    assert found.difference.value == pytest.approx(tar.value - other.figures["area_50"]["tar@1e-1"].value)
    assert found.difference.low <= found.difference.value <= found.difference.high
    assert found.verdict != "no paired interval"


def test_clean_figures_are_those_of_all_pairs_of_a_probe_and_the_gallery():
    faces = make_faces(people=10)
    result = Stress(**QUICK, far=0.1)(blocks_of, faces)
    rows, number = blocks_of(faces.images()), np.arange(40) % 4
    probe, known = number >= 2, number < 2
    whole = Verification(fars=(0.1,), resamples=20)(rows[probe], faces.labels[probe], rows[known], faces.labels[known])
    assert result.figures["clean"]["tar@1e-1"] == pytest.approx(whole.tar[0.1])


def test_iou_is_that_of_the_located_and_the_true_box():
    faces = make_faces()

    def everything(images):
        return np.tile(np.array([0, 0, 1, 1], np.float32), (len(images), 1))

    whole = Stress(**QUICK)(blocks_of, faces, locate=everything).figures
    assert whole["area_50"]["iou"].value == pytest.approx(0.5, abs=0.02)
    assert whole["clean"]["iou"].value == 0
    nothing = Stress(**QUICK)(blocks_of, faces, locate=lambda images: np.zeros((len(images), 4))).figures
    assert nothing["clean"]["iou"].value == 1
    assert nothing["area_50"]["iou"].value == 0
    assert "iou" not in Stress(**QUICK)(blocks_of, faces).figures["clean"]


def test_the_worst_pairs_are_the_extremes_of_the_clean_scores():
    faces = make_faces()
    result = Stress(**QUICK)(blocks_of, faces)
    rows = blocks_of(faces.images()).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    known, probe = np.arange(24) % 4 < 2, np.arange(24) % 4 >= 2
    score = rows[probe] @ rows[known].T
    same = faces.labels[probe][:, None] == faces.labels[known]
    genuine = [pair.score for pair in result.worst if pair.same]
    impostor = [pair.score for pair in result.worst if not pair.same]
    assert genuine == pytest.approx(sorted(score[same])[:8], abs=1e-6)
    assert impostor == pytest.approx(sorted(score[~same], reverse=True)[:8], abs=1e-6)
    left, right, value, _ = result.worst[0]
    a, b = (int(name.split()[1]) for name in (left, right))
    assert rows[a] @ rows[b] == pytest.approx(value, abs=1e-6)


def test_a_far_that_cannot_be_resolved_is_left_out_or_refused():
    tiny = make_faces(people=3, pictures=2)
    result = Stress(**QUICK)(blocks_of, tiny)
    assert set(result.figures["clean"]) == {"rank1", "cosine"}
    assert any("there is no TAR" in note for note in result.notes)
    with pytest.raises(ProtocolError, match="cannot resolve FAR"):
        Stress(**QUICK, far=0.1)(blocks_of, tiny)
    assert "tar@2e-1" in Stress(**QUICK, far=0.2)(blocks_of, make_faces()).figures["clean"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"areas": (0.1, 1.5)}, OptionError, "shares of the picture"),
        ({"areas": (0.1, 0.101)}, OptionError, "'area_10' appears twice"),
        ({"occluders": "cup"}, OptionError, "list of names"),
        ({"occluders": ("cop",)}, UnknownNameError, "Did you mean 'cup'"),
        ({"occluders": ("cup", "cup")}, OptionError, "twice"),
        ({"cells": 0}, OptionError, "cells >= 1"),
        ({"block": 0}, OptionError, "0 < block"),
        ({"seed": -1}, OptionError, "seed"),
        ({"batch_size": 0}, OptionError, "batch_size"),
        ({"far": 2}, ProtocolError, "strictly between"),
        ({"galery": 2}, OptionError, "Did you mean 'gallery'"),
    ],
)
def test_options_are_checked_when_the_protocol_is_built(options, error, said):
    with pytest.raises(error, match=said):
        PROTOCOLS.build({"name": "stress", **options})


def test_data_that_cannot_be_measured_are_refused(monkeypatch):
    faces = make_faces()
    with pytest.raises(OptionError, match="gallery is 0; at least 1"):
        Stress(**QUICK, gallery=0)(blocks_of, faces)
    with pytest.raises(OptionError, match="people is 1; at least 2"):
        Stress(**QUICK, people=1)(blocks_of, faces)
    assert Stress(**QUICK, people=3)(blocks_of, faces).data["people"] == 3
    calls = iter([blocks_of, lambda images: blocks_of(images)[:-1]])
    with pytest.raises(ShapeError, match="for 12 pictures"):
        Stress(**QUICK)(lambda images: next(calls)(images), faces)
    monkeypatch.setattr(stress, "_MOST_PAIRS", 100)
    with pytest.raises(ProtocolError, match="test fewer people"):
        Stress(**QUICK)(blocks_of, faces)


def test_grey_faces_are_covered_in_grey():
    colour = make_faces()
    grey = FaceSet.from_arrays(colour.images()[..., :1].repeat(3, -1), colour.labels)
    channels = []

    def embed(images):
        channels.append(bool((images[..., :1] == images).all()))
        return blocks_of(images)

    assert any("are grey" in note for note in Stress(**QUICK)(embed, grey).notes)
    assert all(channels)
    channels.clear()
    Stress(**QUICK)(embed, colour)
    assert not any(channels)
