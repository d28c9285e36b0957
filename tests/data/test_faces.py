"""Sets of faces: selecting, relabelling, and the two protocols' splits."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.data.faces import FaceSet
from occmask.data.split import people_folds, split_gallery_probes
from occmask.errors import DataError, OptionError, ShapeError


def faces(labels: list[int]) -> FaceSet:
    """Picture i is uniformly of grey level i."""
    images = np.zeros((len(labels), 4, 4, 3), np.uint8) + np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return FaceSet.from_arrays(images, labels)


def test_a_selection_keeps_labels_and_relabelling_closes_the_gaps() -> None:
    chosen = faces([0, 1, 2, 3, 1]).select([4, 3])
    assert chosen.labels.tolist() == [1, 3]
    assert chosen.images()[:, 0, 0, 0].tolist() == [4, 3]
    assert chosen.num_people == 2
    closed = chosen.relabel()
    assert closed.labels.tolist() == [0, 1]
    assert closed.people == ("person 1", "person 3")
    assert closed.images()[:, 0, 0, 0].tolist() == [4, 3]


def test_a_mask_selects_like_indices() -> None:
    assert faces([0, 1, 2]).select(np.array([True, False, True])).labels.tolist() == [0, 2]


def test_an_index_outside_the_set_is_an_error() -> None:
    with pytest.raises(DataError, match=r"0\.\.2"):
        faces([0, 1, 2]).select([3])


def test_labels_cannot_be_changed_behind_the_sets_back() -> None:
    with pytest.raises(ValueError, match="read-only"):
        faces([0, 1]).labels[0] = 1


def test_labels_must_match_pictures_and_people() -> None:
    with pytest.raises(ShapeError, match="as many labels"):
        FaceSet.from_arrays(np.zeros((2, 4, 4, 3), np.uint8), [0])
    with pytest.raises(DataError, match="labels index the 1 people"):
        FaceSet.from_arrays(np.zeros((2, 4, 4, 3), np.uint8), [0, 1], people=["only"])


def test_a_set_survives_the_way_to_a_worker() -> None:
    back = pickle.loads(pickle.dumps(faces([0, 1, 1])))
    assert (back.images() == faces([0, 1, 1]).images()).all()
    assert back.labels.tolist() == [0, 1, 1]


def test_colour_is_noticed() -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    assert FaceSet.from_arrays(images, [0, 1]).grey
    images[1, 2, 2, 0] = 1
    assert not FaceSet.from_arrays(images, [0, 1]).grey


# -- splits --------------------------------------------------------------------------------------
@given(st.data(), st.integers(1, 4))
def test_gallery_and_probes_share_the_people_and_no_picture(data: st.DataObject, gallery: int) -> None:
    counts = data.draw(st.lists(st.integers(gallery + 1, gallery + 4), min_size=1, max_size=5))
    labels = data.draw(st.permutations([p for p, count in enumerate(counts) for _ in range(count)]))
    split = split_gallery_probes(faces(list(labels)), gallery=gallery)
    assert len(split.gallery) + len(split.probes) == len(labels)
    assert not {*split.gallery.names} & {*split.probes.names}
    for person in range(len(counts)):
        of_person = [f"picture {i}" for i, label in enumerate(labels) if label == person]
        enrolled = [s for s, label in zip(split.gallery.names, split.gallery.labels, strict=True) if label == person]
        assert enrolled == of_person[:gallery]


def test_a_person_with_too_few_pictures_is_named() -> None:
    with pytest.raises(DataError, match=r"no probe for person 1; .* gallery=2 is the most"):
        split_gallery_probes(faces([0] * 9 + [1] * 3))
    with pytest.raises(DataError, match="person 1: too few pictures"):
        split_gallery_probes(faces([0, 0, 1]), gallery=1)
    with pytest.raises(OptionError, match="at least 1"):
        split_gallery_probes(faces([0, 0]), gallery=0)


@given(st.integers(2, 5), st.integers(0, 7))
def test_folds_hold_every_person_out_once_and_train_on_the_others(folds: int, more: int) -> None:
    people = 2 * folds + more
    everybody = faces([p for p in range(people) for _ in range(2)])
    held_out: list[str] = []
    for fold in people_folds(everybody, folds=folds):
        assert not {*fold.training.people} & {*fold.held_out.people}
        assert {*fold.training.people} | {*fold.held_out.people} == {*everybody.people}
        assert np.unique(fold.training.labels).tolist() == list(range(len(fold.training.people)))
        assert fold.held_out.num_people >= 2
        held_out += fold.held_out.people
    assert sorted(held_out) == sorted(everybody.people)


def test_too_few_people_for_the_folds_is_said_with_what_would_work() -> None:
    with pytest.raises(DataError, match=r"4 folds need at least 8 people.*there are 5; folds=2 would work"):
        people_folds(faces([0, 1, 2, 3, 4]))
    with pytest.raises(DataError, match=r"there are 1$"):
        people_folds(faces([0, 0]))
    with pytest.raises(OptionError, match="at least 2"):
        people_folds(faces([0, 1]), folds=1)


def test_a_set_introduces_itself_in_one_line() -> None:
    assert repr(faces([0, 1] * 50)) == "<FaceSet: 100 pictures of 2 people, 4x4, 'arcface', 0 skipped>"
