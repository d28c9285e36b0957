"""What pairs say about people: who is one person, and which pairs contradict each other."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


def joined(num_pictures: int, left: Indices, right: Indices) -> Indices:
    """(N,) one number for all pictures that pairs join, directly or over others: 0, 1, ... in the pictures' order."""
    parent = list(range(num_pictures))

    def root(picture: int) -> int:
        while parent[picture] != picture:
            parent[picture] = parent[parent[picture]]
            picture = parent[picture]
        return picture

    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        low, high = sorted((root(one), root(other)))
        parent[high] = low  # the first picture stands for all
    return np.unique([root(picture) for picture in range(num_pictures)], return_inverse=True)[1].reshape(-1)


def folders_are_people(left: Sequence[str], right: Sequence[str], same: Flags) -> bool:
    """Whether the pictures' folders say who is who: most pairs of one person lie in one folder, most others do not.

    Most, not all: a few pairs that disagree are wrong; a list that disagrees as a whole has other folders.
    """
    folders = [[posixpath.dirname(name) for name in names] for names in (left, right)]
    together = np.array([one == other != "" for one, other in zip(*folders, strict=True)], bool)
    apart = np.array([one != other and "" not in (one, other) for one, other in zip(*folders, strict=True)], bool)
    return all(2 * flags.sum() >= len(flags) for flags in (together[same], apart[~same])) and bool(len(same))


def both_ways(left: Indices, right: Indices, same: Flags) -> Flags:
    """(P,) True for pairs that are said to show one person, and also to show two."""
    pair = _pair_numbers(left, right)
    genuine, count = np.bincount(pair, same), np.bincount(pair)
    contradicted: Flags = ((genuine > 0) & (genuine < count))[pair]
    return contradicted


def repeated(left: Indices, right: Indices) -> Flags:
    """(P,) True for pairs that came before, whichever picture was the left one."""
    pair = _pair_numbers(left, right)
    first = np.unique(pair, return_index=True)[1]
    return ~np.isin(np.arange(len(pair)), first)


def contradictions(left: Indices, right: Indices, same: Flags, labels: Indices | None) -> dict[int, str]:
    """Pair -> why it cannot be right: labelled both ways, or against what is known of the people (None: nothing)."""
    found = dict.fromkeys(np.flatnonzero(both_ways(left, right, same)).tolist(), "labelled both ways")
    if labels is not None:
        of_one = labels[left] == labels[right]
        for pair in np.flatnonzero(same & ~of_one).tolist():
            found.setdefault(pair, "labelled as one person and of two")
        for pair in np.flatnonzero(~same & of_one).tolist():
            found.setdefault(pair, "labelled as two people and of one")
    return dict(sorted(found.items()))


def doubts(left: Indices, right: Indices, same: Flags, labels: Indices) -> dict[int, str]:
    """Pair -> why it says little, or less than it should; none of this makes a list unusable."""
    found: dict[int, str] = {}
    for flags, why in (
        (left == right, "a picture paired with itself"),
        (both_ways(left, right, same), "labelled both ways"),
        (repeated(left, right), "the same pair as an earlier one"),
        (~same & (labels[left] == labels[right]), "two people, and joined by pairs of one person"),
    ):
        for pair in np.flatnonzero(flags).tolist():
            found.setdefault(pair, why)
    return dict(sorted(found.items()))


def _pair_numbers(left: Indices, right: Indices) -> Indices:
    """(P,) the same number for the same two pictures."""
    both = np.stack([np.minimum(left, right), np.maximum(left, right)], axis=1)
    return np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
