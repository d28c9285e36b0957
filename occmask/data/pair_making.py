"""Drawing verification pairs from a set of faces, as LFW's were: folds of different people, half of each kind."""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..errors import DataError, OptionError
from .faces import FaceSet
from .pairs import FacePairs

Indices = NDArray[np.int64]


class _Fold(NamedTuple):
    """The pictures of some people, one array a person, and how many pairs there are of them."""

    people: list[Indices]

    @property
    def genuine(self) -> int:
        return sum(math.comb(len(pictures), 2) for pictures in self.people)

    @property
    def impostor(self) -> int:
        return math.comb(sum(map(len, self.people)), 2) - self.genuine


def make_pairs(
    faces: FaceSet, *, genuine: int = 3000, impostor: int = 3000, folds: int = 10, seed: int = 0
) -> FacePairs:
    """Draw `genuine` pairs of one person and `impostor` pairs of two, in folds without a person in common.

    Every fold has the same number of each, its genuine pairs first.  Within a fold, genuine pairs are spread over
    people, and impostor pairs over pairs of people, as evenly as their pictures allow, so that people with many
    pictures do not dominate; no pair is drawn twice, whichever picture is left.  People are dealt to folds so that all
    have about as many pictures.  The same arguments give the same pairs.

    Raises `OptionError` for numbers that folds cannot share equally, `DataError` with the most that the set can give.
    """
    if folds < 1 or genuine < 1 or impostor < 1 or genuine % folds or impostor % folds:
        raise OptionError(
            f"genuine and impostor are the numbers of pairs, positive multiples of folds, not {genuine} and {impostor} "
            f"in {folds} folds"
        )
    if not 0 <= seed < 2**32:
        raise OptionError(f"seed is a whole number in 0 .. 2**32 - 1, not {seed!r}")
    rng = np.random.default_rng(seed)
    dealt = _deal(faces.labels, folds, rng)
    most_genuine = folds * min(fold.genuine for fold in dealt)
    most_impostor = folds * min(fold.impostor for fold in dealt)
    if genuine > most_genuine or impostor > most_impostor:
        raise DataError(
            f"{len(faces)} pictures of {faces.num_people} people give at most {most_genuine} genuine and "
            f"{most_impostor} impostor pairs in {folds} folds of different people (seed {seed}), not {genuine} and "
            f"{impostor}; ask for fewer pairs or fewer folds"
        )
    ends, same = [], []
    for fold in dealt:
        for draw, wanted in ((_genuine, genuine // folds), (_impostor, impostor // folds)):
            drawn = rng.permutation(draw(fold.people, wanted, rng))
            ends.append(rng.permuted(drawn, axis=1))  # either picture is the left one
            same.append(np.full(wanted, draw is _genuine))
    pairs = np.concatenate(ends)
    return FacePairs.among(faces, pairs[:, 0], pairs[:, 1], np.concatenate(same))


def _deal(labels: Indices, folds: int, rng: Generator) -> list[_Fold]:
    """Whoever has most pictures first, equals by lot, each to the fold with the fewest pictures so far."""
    borders = np.flatnonzero(np.diff(np.sort(labels))) + 1
    people = np.split(np.argsort(labels, kind="stable"), borders)
    people = [people[person] for person in rng.permutation(len(people))]
    people.sort(key=len, reverse=True)
    dealt = [_Fold([]) for _ in range(folds)]
    fewest = [(0, 0, fold) for fold in range(folds)]  # pictures, people, fold
    for pictures in people:
        num_pictures, num_people, fold = heapq.heappop(fewest)
        dealt[fold].people.append(pictures)
        heapq.heappush(fewest, (num_pictures + len(pictures), num_people + 1, fold))
    return dealt


def _genuine(people: list[Indices], wanted: int, rng: Generator) -> Indices:
    """(wanted, 2) different pairs of pictures of one person."""
    capacities = np.array([math.comb(len(pictures), 2) for pictures in people])
    pairs = []
    for person, count in enumerate(_shares(capacities, wanted, rng)):
        for number in rng.choice(capacities[person], count, replace=False).tolist() if count else ():
            pairs.append(people[person][list(_unordered(number))])
    return np.array(pairs)


def _impostor(people: list[Indices], wanted: int, rng: Generator) -> Indices:
    """(wanted, 2) different pairs of pictures of two people."""
    num_two = math.comb(len(people), 2)
    if wanted <= num_two:  # more than enough pairs of people: they need not be listed
        two = rng.choice(num_two, wanted, replace=False).tolist()
        shares = np.ones(wanted, np.int64)
    else:
        two = list(range(num_two))
        sizes = np.array([len(pictures) for pictures in people])
        shares = _shares(np.array([math.prod(sizes[list(_unordered(n))].tolist()) for n in two]), wanted, rng)
    pairs = []
    for number, count in zip(two, shares.tolist(), strict=True):
        one, other = (people[person] for person in _unordered(number))
        for chosen in rng.choice(len(one) * len(other), count, replace=False).tolist():
            pairs.append((one[chosen // len(other)], other[chosen % len(other)]))
    return np.array(pairs)


def _shares(capacities: Indices, wanted: int, rng: Generator) -> Indices:
    """How many of `wanted` come from each: equally many, as far as the capacities allow, the odd ones by lot."""
    low, high = 0, int(capacities.max())  # the level up to which all are filled
    while low < high:
        level = (low + high + 1) // 2
        low, high = (level, high) if np.minimum(capacities, level).sum() <= wanted else (low, level - 1)
    shares = np.minimum(capacities, low)
    higher = rng.permutation(np.flatnonzero(capacities > low))[: wanted - shares.sum()]
    shares[higher] += 1
    return shares


def _unordered(number: int) -> tuple[int, int]:
    """The pairs (i, j), i < j, in the order 01 02 12 03 13 23 04 ..., by number."""
    j = (1 + math.isqrt(1 + 8 * number)) // 2
    return number - math.comb(j, 2), j
