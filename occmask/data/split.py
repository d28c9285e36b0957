"""The two ways ORL is divided: pictures of the same people, or people nobody trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import DataError, OptionError
from .faces import FaceSet


class GallerySplit(NamedTuple):
    """The first pictures of each person (gallery and training set) and the remaining ones."""

    gallery: FaceSet
    probes: FaceSet


class Fold(NamedTuple):
    """Two sets without a person in common, each with labels 0..n-1 of its own people."""

    training: FaceSet
    held_out: FaceSet


def split_gallery_probes(faces: FaceSet, *, gallery: int = 5) -> GallerySplit:
    """Closed-set identification: each person's first `gallery` pictures, and that person's others as probes.

    Raises `DataError` naming every person who has too few pictures to appear on both sides.
    """
    if gallery < 1:
        raise OptionError(f"gallery is how many pictures of each person are enrolled, at least 1, not {gallery}")
    _, label, counts = np.unique(faces.labels, return_inverse=True, return_counts=True)
    if len(counts) == 0:
        raise DataError("an empty set cannot be split into gallery and probes")
    few = [faces.people[faces.labels[label == i][0]] for i in np.flatnonzero(counts <= gallery)]
    if few:
        raise DataError(
            f"a gallery of {gallery} leaves no probe for {', '.join(few)}; every person needs at least {gallery + 1} "
            f"pictures, so gallery={counts.min() - 1} is the most that works"
            if counts.min() > 1
            else f"{', '.join(few)}: too few pictures; every person needs at least 2, one to enrol and one to probe"
        )
    rank = np.zeros(len(faces), np.int64)  # the picture's place among its person's pictures
    for i in range(len(counts)):
        rank[label == i] = np.arange(counts[i])
    return GallerySplit(faces.select(np.flatnonzero(rank < gallery)), faces.select(np.flatnonzero(rank >= gallery)))


def people_folds(faces: FaceSet, *, folds: int = 4) -> list[Fold]:
    """Subject-disjoint folds: fold f holds out the people f, f + folds, f + 2 * folds, ...

    Every person is held out once.  Raises `DataError` when a fold would hold out fewer than two people,
    for whom there is no impostor pair.
    """
    if folds < 2:
        raise OptionError(f"folds is at least 2, so that somebody is left to train on, not {folds}")
    people = np.unique(faces.labels)
    if len(people) < 2 * folds:
        raise DataError(
            f"{folds} folds need at least {2 * folds} people, two held out in each, and there are {len(people)}"
            + (f"; folds={len(people) // 2} would work" if len(people) >= 4 else "")
        )
    held_out = [np.isin(faces.labels, people[fold::folds]) for fold in range(folds)]
    return [
        Fold(faces.select(np.flatnonzero(~out)).relabel(), faces.select(np.flatnonzero(out)).relabel())
        for out in held_out
    ]
