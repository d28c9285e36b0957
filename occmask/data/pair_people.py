"""What pairs say about people: who is one person, and which pairs contradict each other."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records.joined import joined
from ..records.pair_lists import ListedPair
from .pair_pictures import NamedPictures

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


class PairPeople(NamedTuple):
    """Who is on the pictures of a list of pairs."""

    labels: Indices  # of all pictures that were found, and of their container's others
    names: Sequence[str]
    known: bool  # and not only concluded from the pairs
    torn: Indices = np.empty(0, np.int64)  # pictures that are said to show several people


def people_of(pairs: Sequence[ListedPair], found: NamedPictures, rows: Indices, same: Flags) -> PairPeople:
    """The people whom the list names, else the container, else the folders, else whom pairs of one person join.

    `rows` (P, 2) are the pairs' pictures, `same` (P,) whether they show one person.
    """
    listed = [name for pair in pairs for name in (pair.left_person, pair.right_person) if name is not None]
    if len(listed) < 2 * len(pairs):
        if found.labels is not None:
            return PairPeople(found.labels, found.people, known=True)
        folders = [posixpath.dirname(found.pictures.name(row)) for row in rows.reshape(-1).tolist()]
        if not _are_people(folders[0::2], folders[1::2], same):
            labels = joined(len(found.pictures), rows[same])
            names = [f"person {label + 1}" for label in range(labels.max(initial=-1) + 1)]
            return PairPeople(labels, names, known=False)
        listed = folders
    people, of_ends = np.unique(listed, return_inverse=True)
    labels = np.zeros(len(found.pictures), np.int64)
    labels[rows.reshape(-1)] = of_ends.reshape(-1)
    claims = np.unique(np.stack([rows.reshape(-1), of_ends.reshape(-1)]), axis=1)[0]
    pictures, count = np.unique(claims, return_counts=True)
    return PairPeople(labels, [str(name) for name in people], known=True, torn=pictures[count > 1])


def _are_people(left: Sequence[str], right: Sequence[str], same: Flags) -> bool:
    """Whether the pictures' folders say who is who: most pairs of one person lie in one folder, most others do not.

    Most, not all: a few pairs that disagree are wrong; a list that disagrees as a whole has other folders.
    """
    if "" in left or "" in right:
        return False
    together = np.array([one == other for one, other in zip(left, right, strict=True)], bool)
    return all(2 * np.count_nonzero(agree) >= len(agree) for agree in (together[same], ~together[~same]))


def contradictions(ends: Indices, same: Flags, people: PairPeople) -> dict[int, str]:
    """Pair -> why it cannot be right: labelled both ways, or against what is known of the people."""
    found = [(_both_ways(ends, same), "labelled both ways")]
    if people.known:
        of_one = people.labels[ends[:, 0]] == people.labels[ends[:, 1]]
        torn = np.isin(ends, people.torn)
        found += [
            (torn[:, 0] | torn[:, 1], "a picture of it is of several people"),
            (same & ~of_one, "labelled as one person and of two"),
            (~same & of_one, "labelled as two people and of one"),
        ]
    return _first_reasons(found)


def doubts(ends: Indices, same: Flags, labels: Indices) -> dict[int, str]:
    """Pair -> why it says little, or less than it should; none of this makes a list unusable."""
    of_one = labels[ends[:, 0]] == labels[ends[:, 1]]
    return _first_reasons(
        [
            (ends[:, 0] == ends[:, 1], "a picture paired with itself"),
            (_both_ways(ends, same), "labelled both ways"),
            (_repeated(ends), "the same pair as an earlier one"),
            (~same & of_one, "two people, and joined by pairs of one person"),
        ]
    )


def _first_reasons(found: Sequence[tuple[Flags, str]]) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for flags, why in found:
        for pair in np.flatnonzero(flags).tolist():
            reasons.setdefault(pair, why)
    return dict(sorted(reasons.items()))


def _both_ways(ends: Indices, same: Flags) -> Flags:
    """(P,) True for pairs that are said to show one person, and also to show two."""
    pair = _pair_numbers(ends)
    genuine, count = np.bincount(pair, same), np.bincount(pair)
    contradicted: Flags = ((genuine > 0) & (genuine < count))[pair]
    return contradicted


def _repeated(ends: Indices) -> Flags:
    """(P,) True for pairs that came before, whichever picture was the left one."""
    first = np.unique(_pair_numbers(ends), return_index=True)[1]
    return ~np.isin(np.arange(len(ends)), first)


def _pair_numbers(ends: Indices) -> Indices:
    """(P,) the same number for the same two pictures."""
    return np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
