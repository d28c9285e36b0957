"""Which pictures of a set are enrolled and which are probes, person by person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ProtocolError
from ..evaluation.checks import check_whole
from ..evaluation.metrics import IntArray
from ..images.pixels import Pixels
from .inputs import Faces


class Enrolment(NamedTuple):
    """Indices into the set, and the people who appear on neither side."""

    gallery: IntArray  # (G,)
    probes: IntArray  # (P,)
    left_out: IntArray  # labels of people with one picture, who can be enrolled or probed but not both


def enrol(labels: IntArray, *, gallery: int, people: int | None = None) -> Enrolment:
    """Each person's first `gallery` pictures, at most half of them, are enrolled; the others are probes.

    `people` takes the first so many of those who have two pictures or more.  Raises `OptionError` for numbers that
    cannot be, `ProtocolError` when fewer than two people have two pictures.
    """
    check_numbers(gallery, people)
    present, person, counts = np.unique(labels, return_inverse=True, return_counts=True)
    able = np.flatnonzero(counts >= 2)[:people]
    if len(able) < 2:
        raise ProtocolError(
            f"{len(able)} of {len(present)} people have two pictures or more; at least two must, one picture to enrol "
            "and one to probe"
        )
    known: list[int] = []
    unseen: list[int] = []
    order = np.argsort(person, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    for one in able:
        own = order[starts[one] : starts[one + 1]]
        enrolled = min(gallery, len(own) // 2)
        known.extend(own[:enrolled].tolist())
        unseen.extend(own[enrolled:].tolist())
    return Enrolment(
        np.sort(np.array(known, np.int64)), np.sort(np.array(unseen, np.int64)), present[counts < 2].astype(np.int64)
    )


def check_numbers(gallery: int, people: int | None) -> None:
    """How many pictures of each person are enrolled, and how many people are tested, or `OptionError`."""
    check_whole("gallery", gallery, least=1, usual=5)
    if people is not None:
        check_whole("people", people, least=2, usual=1000)


class ChosenFaces:
    """Some of the faces, in the order of `indices` (n,): what `embed_faces` takes."""

    def __init__(self, faces: Faces, indices: IntArray):
        self._faces, self._indices = faces, indices

    @property
    def labels(self) -> IntArray:
        """(n,)."""
        chosen: IntArray = self._faces.labels[self._indices]
        return chosen

    @property
    def people(self) -> Sequence[str]:
        """Everybody in the whole set."""
        return self._faces.people

    @property
    def grey(self) -> bool:
        """Whether no picture of the whole set has colour."""
        return self._faces.grey

    def __len__(self) -> int:
        return len(self._indices)

    def name(self, index: int) -> str:
        """What a picture is called in the whole set."""
        return self._faces.name(int(self._indices[index]))

    def images(self, indices: Iterable[int] | None = None) -> Pixels:
        """The chosen ones of these pictures, or all, uint8 (n, H, W, 3)."""
        return self._faces.images(self._indices if indices is None else self._indices[list(indices)])
