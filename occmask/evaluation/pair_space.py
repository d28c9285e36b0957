"""Which pairs two sets of pictures make: genuine ones are listed, impostors are counted in closed form."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ProtocolError, ShapeError
from .checks import labels_of
from .metrics import FloatArray, IntArray


class PairIndices(NamedTuple):
    """n pairs: an index of the left and one of the right pictures each."""

    left: IntArray  # (n,)
    right: IntArray  # (n,)


class PairSpace:
    """All pairs of A left with B right pictures, but for the excluded ones.

    left_label (A,), right_label (B,); right_label None: the left pictures among themselves, each pair once.
    excluded: two rows of indices, the pairs left out, such as a photograph with a copy of itself.
    Raises `ShapeError`, or `ProtocolError` for one person only and for an index outside the pictures.
    """

    def __init__(self, left_label: ArrayLike, right_label: ArrayLike | None, excluded: ArrayLike | None = None):
        left = np.asarray(left_label)
        right = left if right_label is None else np.asarray(right_label)
        left, right = labels_of("left", left, len(left)), labels_of("right", right, len(right))
        self.symmetric = right_label is None
        people, person = np.unique(np.concatenate([left, right]), return_inverse=True)
        if len(people) < 2:
            raise ProtocolError("all pictures show one person; verification needs at least two people")
        self.num_people = len(people)
        self.left, self.right = person[: len(left)], person[len(left) :]  # (A,), (B,) index of a person
        self._excluded = self._without(excluded)

    @cached_property
    def genuine(self) -> PairIndices:
        """The pairs of one person, in the order of the left pictures."""
        order = np.argsort(self.right, kind="stable")
        count = np.bincount(self.right, minlength=self.num_people)
        start = np.cumsum(count) - count
        mates = count[self.left]
        left = np.repeat(np.arange(len(self.left)), mates)
        within = np.arange(len(left)) - np.repeat(np.cumsum(mates) - mates, mates)
        right = order[np.repeat(start[self.left], mates) + within]
        kept = np.ones(len(left), bool) if not self.symmetric else left < right
        if len(self._excluded.left):
            kept &= ~np.isin(self._key(left, right), self._key(*self._excluded))
        return PairIndices(left[kept], right[kept])

    @cached_property
    def excluded_impostors(self) -> PairIndices:
        """The excluded pairs of two people."""
        left, right = self._excluded
        differ = self.left[left] != self.right[right]
        return PairIndices(left[differ], right[differ])

    @property
    def excluded_genuine(self) -> PairIndices:
        """The excluded pairs of one person."""
        left, right = self._excluded
        same = self.left[left] == self.right[right]
        return PairIndices(left[same], right[same])

    @cached_property
    def num_impostor(self) -> int:
        """How many pairs of two people there are."""
        return int(self.impostor_weight(np.ones(self.num_people)))

    def impostor_weight(self, drawn: FloatArray) -> float:
        """What all impostor pairs weigh together when each counts the product of how often its people were drawn.

        drawn (people,).  (sum of d n)(sum of d m) - sum of d^2 n m, with n and m pictures of a person on either side.
        """
        n = drawn * np.bincount(self.left, minlength=self.num_people)
        m = drawn * np.bincount(self.right, minlength=self.num_people)
        ordered = n.sum() * m.sum() - n @ m
        left, right = self.excluded_impostors
        out = float((drawn[self.left[left]] * drawn[self.right[right]]).sum())
        return float(ordered / 2 if self.symmetric else ordered) - out

    def _key(self, left: IntArray, right: IntArray) -> IntArray:
        return left * len(self.right) + right

    def _without(self, excluded: ArrayLike | None) -> PairIndices:
        pairs = np.empty((2, 0), np.int64) if excluded is None else np.asarray(excluded)
        if pairs.ndim != 2 or len(pairs) != 2 or pairs.dtype.kind not in "iu":
            raise ShapeError(f"excluded is {pairs.shape} of {pairs.dtype}; it must be (2, n) indices, a column a pair")
        left, right = pairs.astype(np.int64)
        for side, index, count in (("left", left, len(self.left)), ("right", right, len(self.right))):
            if len(index) and not (index.min() >= 0 and index.max() < count):
                raise ProtocolError(f"excluded pairs index the {count} {side} pictures, 0..{count - 1}")
        if self.symmetric:
            left, right = np.minimum(left, right), np.maximum(left, right)
            left, right = left[left < right], right[left < right]
        return PairIndices(*np.divmod(np.unique(self._key(left, right)), max(len(self.right), 1)))
