"""Which pictures of two sets are one photograph, by their names."""

import numpy as np
import pytest

from occmask.data.faces import FaceSet
from occmask.data.pairs import FacePairs
from occmask.protocols.people import about_same_photographs, joint_labels, same_photographs
from occmask.testsets.plan import every_picture, second_of_pairs


def faces(*names):
    people = sorted({name.partition("/")[0] for name in names})
    return FaceSet.from_arrays(
        np.zeros((len(names), 8, 8, 3), np.uint8),
        np.array([people.index(name.partition("/")[0]) for name in names]),
        people=people,
        names=names,
    )


def same(probes, gallery):
    _, labels = joint_labels(probes, gallery)
    return same_photographs(probes, labels[0], gallery, labels[1]).T.tolist()


@pytest.mark.parametrize(
    "name",
    ["ann/1.jpg", "ann/1.png", "ann/1", "ann/1.PGM", "ann/1_covered.png", "ann/1.jpg.png", "ann/1.jpg_covered.png"],
)
def test_a_copy_is_known_by_its_name(name):
    assert same(faces(name), faces("ann/1.jpg", "bob/1.jpg", "ann/11.jpg", "ann/2.jpg")) == [[0, 0]]


@pytest.mark.parametrize("name", ["bob/1.jpg", "ann/1.0001", "ann/1_uncovered.jpg", "ann/.jpg", "ann/_covered"])
def test_another_person_or_another_number_is_another_photograph(name):
    assert same(faces(name), faces("ann/1.jpg", "ann/1.0002")) == []


def test_every_pair_of_one_photograph_is_listed_and_every_probe_counted_once():
    probes, gallery = faces("ann/1.png", "ann/2.png", "bob/1.png"), faces("ann/1.jpg", "ann/1.bmp", "bob/2.jpg")
    assert same(probes, gallery) == [[0, 0], [0, 1]]
    (note,) = about_same_photographs(np.array([[0, 0], [0, 1]]), 3)
    assert note.startswith("1 of 3 probes bear the name of a gallery picture of the same person: ")
    assert about_same_photographs(np.empty((2, 0), np.int64), 3) == []


def test_what_occlude_writes_is_known_as_copies_of_what_it_read():
    source = faces("ann/1.pgm", "ann/2.pgm", "ann/2.jpg", "bob/x.y.pgm")
    pairs = FacePairs(faces=source, left=np.array([0, 1]), right=np.array([3, 2]), same=np.array([False, True]))
    for jobs in (every_picture(source), [job for job in second_of_pairs(source, pairs)[0] if job.covered]):
        found = same(faces(*(job.name for job in jobs)), source)
        assert {(place, job.picture) for place, job in enumerate(jobs)} <= {tuple(pair) for pair in found}


def test_a_number_after_a_dot_is_no_extension():
    assert same(faces("ann/video.0001", "ann/video.0002"), faces("ann/video.0002")) == [[1, 0]]
