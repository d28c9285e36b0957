"""Verification and identification metrics in plain NumPy, exact under ties and under weighted pairs."""

from __future__ import annotations

import math
from bisect import bisect_left
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ProtocolError, ShapeError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Estimate(NamedTuple):
    """A figure and its interval, all in the figure's own unit (shares in [0, 1])."""

    value: float
    low: float
    high: float


class RocCurve(NamedTuple):
    """The exact ROC: one vertex a distinct score, strictest first, from (0, 0) to (1, 1).

    A pair is accepted when its score is at least `threshold`; the first threshold is +inf.
    """

    far: FloatArray  # (V,)
    tar: FloatArray  # (V,)
    threshold: FloatArray  # (V,)


class PairScores:
    """Scores of genuine and impostor pairs, sorted once: any weighting of the pairs is then a cumulative sum.

    genuine (n,), impostor (m,): similarities, larger = more alike.  `genuine_order` and `impostor_order`
    are the permutations that sort them, best score first; weights are given in that order.
    Raises `ProtocolError` when either is empty or holds NaN.
    """

    def __init__(self, genuine: ArrayLike, impostor: ArrayLike):
        scores = [_scores("genuine", genuine), _scores("impostor", impostor)]
        self.genuine_order, self.impostor_order = (np.argsort(-s, kind="stable") for s in scores)
        # Negated, because searchsorted wants ascending order and the strictest threshold comes first here.
        self._genuine = -scores[0][self.genuine_order]
        self._impostor = -scores[1][self.impostor_order]
        self._impostors_above = np.searchsorted(self._impostor, self._genuine, side="left")  # (n,)
        self._impostors_at_least = np.searchsorted(self._impostor, self._genuine, side="right")  # (n,)
        thresholds = np.unique(np.concatenate([self._genuine, self._impostor]))
        self._vertex_genuine = _counts(self._genuine, thresholds)  # (V,) genuine pairs accepted at the vertex
        self._vertex_impostor = _counts(self._impostor, thresholds)  # (V,)
        self._thresholds = np.concatenate([[np.inf], -thresholds])

    def weigh(self, genuine: ArrayLike | None = None, impostor: ArrayLike | None = None) -> WeightedPairs:
        """The same pairs, each counting as often as its weight says; None weighs all alike.

        genuine (n,), impostor (m,): weights >= 0 in sorted order.  Raises `ProtocolError` when nothing is left.
        """
        weights = np.ones(len(self._genuine)) if genuine is None else np.asarray(genuine, np.float64)
        others = np.ones(len(self._impostor)) if impostor is None else np.asarray(impostor, np.float64)
        if weights.shape != self._genuine.shape or others.shape != self._impostor.shape:
            raise ShapeError(
                f"the weights are {weights.shape} and {others.shape}, but there are {len(self._genuine)} genuine and "
                f"{len(self._impostor)} impostor pairs; give one weight a pair"
            )
        return WeightedPairs(self, weights, others)


class WeightedPairs:
    """The metrics of `PairScores` under one weighting."""

    def __init__(self, pairs: PairScores, genuine: FloatArray, impostor: FloatArray):
        self._pairs, self._genuine_weight = pairs, genuine
        self._genuine, self._impostor = _cumulative(genuine), _cumulative(impostor)
        self._num_genuine, self._num_impostor = float(self._genuine[-1]), float(self._impostor[-1])
        if self._num_genuine <= 0 or self._num_impostor <= 0:
            raise ProtocolError("no genuine or no impostor pair has a positive weight; at least one of each must")

    def roc(self) -> RocCurve:
        """FAR and TAR at every distinct score."""
        pairs = self._pairs
        far = self._impostor[pairs._vertex_impostor] / self._num_impostor
        tar = self._genuine[pairs._vertex_genuine] / self._num_genuine
        return RocCurve(far, tar, pairs._thresholds.copy())

    def auc(self) -> float:
        """P(genuine > impostor) + P(genuine = impostor) / 2: the area under the exact ROC."""
        pairs = self._pairs
        lost = (self._impostor[pairs._impostors_above] + self._impostor[pairs._impostors_at_least]) / 2
        return float(1 - self._genuine_weight @ lost / (self._num_genuine * self._num_impostor))

    def eer(self) -> float:
        """The error rate where FAR equals 1 - TAR, on the straight lines between the vertices of the exact ROC."""
        pairs = self._pairs

        def rates(vertex: int) -> tuple[float, float]:
            accepted = float(self._impostor[pairs._vertex_impostor[vertex]]) / self._num_impostor
            rejected = 1 - float(self._genuine[pairs._vertex_genuine[vertex]]) / self._num_genuine
            return accepted, rejected

        def excess(vertex: int) -> float:
            far, frr = rates(vertex)
            return far - frr

        # FAR - FRR climbs from -1 at the first vertex to 1 at the last, so a binary search finds the crossing.
        after = bisect_left(range(len(pairs._thresholds)), 0.0, key=excess)
        (far0, frr0), (far1, frr1) = rates(after - 1), rates(after)
        along = (frr0 - far0) / ((far1 - far0) + (frr0 - frr1))
        return far0 + along * (far1 - far0)

    def tar_at_far(self, far: float) -> float:
        """Share of genuine pairs accepted at the loosest threshold that accepts at most floor(FAR x impostors).

        A pair is accepted when it scores strictly above the threshold, which is the highest impostor score that
        must be rejected; genuine pairs tied with it are rejected too.  far in (0, 1), or `ProtocolError`.
        """
        check_far(far)
        pairs = self._pairs
        allowed = math.floor(far * self._num_impostor * (1 + 1e-12))  # .29 * 100 is 28.999999999999996
        first_rejected = int(np.searchsorted(self._impostor[1:], allowed, side="right"))
        threshold = pairs._impostor[min(first_rejected, len(pairs._impostor) - 1)]
        accepted = np.searchsorted(pairs._genuine, threshold, side="left")
        return float(self._genuine[accepted]) / self._num_genuine


def roc(genuine: ArrayLike, impostor: ArrayLike) -> RocCurve:
    """The exact ROC of genuine (n,) against impostor (m,) similarities. Raises `ProtocolError` (none, NaN)."""
    return PairScores(genuine, impostor).weigh().roc()


def auc(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """P(genuine > impostor) + P(tie) / 2 of genuine (n,), impostor (m,). Raises `ProtocolError` (none, NaN)."""
    return PairScores(genuine, impostor).weigh().auc()


def eer(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Equal error rate of genuine (n,), impostor (m,), interpolated on the ROC. Raises `ProtocolError` (none, NaN)."""
    return PairScores(genuine, impostor).weigh().eer()


def tar_at_far(genuine: ArrayLike, impostor: ArrayLike, far: float) -> float:
    """True accept rate when at most floor(far * m) impostors may pass; see `WeightedPairs.tar_at_far`."""
    return PairScores(genuine, impostor).weigh().tar_at_far(far)


def identity_ranks(score: ArrayLike, gallery_label: ArrayLike, probe_label: ArrayLike) -> IntArray:
    """The place of each probe's own person when the gallery's people are ordered by their best picture.

    score (P, G), gallery_label (G,), probe_label (P,) -> (P,) with 1 = found first.  A person who ties
    with the right one is placed before it: a model that cannot tell people apart earns nothing.
    Every probe's person must be in the gallery (`ProtocolError`).
    """
    scores = np.asarray(score, np.float64)
    people, person = np.unique(np.asarray(gallery_label), return_inverse=True)
    probe = np.asarray(probe_label)
    if scores.shape != (len(probe), len(person)):
        raise ShapeError(f"score is {scores.shape}; with these labels it must be ({len(probe)}, {len(person)})")
    missing = np.setdiff1d(probe, people)
    if len(missing):
        raise ProtocolError(
            f"the gallery has no picture of {_listed(missing)}, who appear among the probes; closed-set "
            "identification needs every probe's person in the gallery"
        )
    order = np.argsort(person, kind="stable")
    starts = np.searchsorted(person[order], np.arange(len(people)))
    best = np.maximum.reduceat(scores[:, order], starts, axis=1)  # (P, people)
    own = best[np.arange(len(probe)), np.searchsorted(people, probe)]
    ranks: IntArray = (best >= own[:, None]).sum(axis=1).astype(np.int64)
    return ranks


def cmc(ranks: ArrayLike, *, num_people: int) -> FloatArray:
    """Cumulative match characteristic: element r - 1 is the share of probes with rank <= r. (P,) -> (num_people,)."""
    counts = np.bincount(np.asarray(ranks, np.int64) - 1, minlength=num_people)
    shares: FloatArray = np.cumsum(counts)[:num_people] / counts.sum()
    return shares


def check_far(far: float) -> None:
    """A false accept rate lies strictly between 0 and 1, or `ProtocolError`."""
    if not isinstance(far, Real) or not 0 < far < 1:
        raise ProtocolError(f"a false accept rate lies strictly between 0 and 1, such as 1e-2; {far!r} does not")


def _scores(kind: str, scores: ArrayLike) -> FloatArray:
    array = np.asarray(scores, np.float64).reshape(-1)
    if not len(array):
        raise ProtocolError(f"there is no {kind} pair; at least one is needed")
    if np.isnan(array).any():
        raise ProtocolError(f"{kind} score {int(np.isnan(array).argmax())} is NaN; scores must be numbers")
    return array


def _counts(ascending: FloatArray, thresholds: FloatArray) -> NDArray[np.intp]:
    return np.concatenate([[0], np.searchsorted(ascending, thresholds, side="right")])


def _cumulative(weights: FloatArray) -> FloatArray:
    sums = np.empty(len(weights) + 1)
    sums[0] = 0
    np.cumsum(weights, out=sums[1:])
    return sums


def _listed(labels: NDArray[Any]) -> str:
    shown = ", ".join(str(label) for label in labels[:8])
    return f"label{'s' if len(labels) > 1 else ''} {shown}" + (
        f" and {len(labels) - 8} more" if len(labels) > 8 else ""
    )
