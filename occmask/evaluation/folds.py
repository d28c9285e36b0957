"""k-fold verification accuracy: every pair is judged by a threshold chosen on the other folds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ProtocolError, ShapeError
from .checks import check_whole
from .metrics import FloatArray

Same: TypeAlias = NDArray[np.bool_]
# scores (T,), same (T,) of the training pairs -> the threshold; a pair is accepted when it scores above it
ThresholdRule = Callable[[FloatArray, Same], float]


class FoldAccuracy(NamedTuple):
    """What was found on each fold with the threshold of the others."""

    accuracy: FloatArray  # (K,) share of the fold's pairs judged rightly
    threshold: FloatArray  # (K,) chosen on the other folds
    correct: Same  # (P,) whether each pair was judged rightly

    @property
    def outcome(self) -> FloatArray:
        """(P,) 1 where a pair was judged rightly, else 0; the mean is the mean of the folds' accuracies.

        Where the folds are not of one size, a right pair of a small fold counts a little more than one of a large one.
        """
        bounds = fold_bounds(len(self.correct), len(self.accuracy))
        size = np.diff(bounds)
        weight = np.repeat(len(self.correct) / (len(size) * size), size)
        return self.correct * weight


def exact_threshold(score: FloatArray, same: Same) -> float:
    """The threshold with which most pairs are judged rightly: score (T,), same (T,).

    Candidates are the midpoints between neighbouring distinct scores, -inf (accept all) and +inf (accept none): every
    threshold judges the training pairs as one of these does.  Of equally good ones the highest, the strictest, is
    taken, as the published rules of InsightFace and FROM do on their grids.
    """
    order = np.argsort(score, kind="stable")
    ascending, genuine = score[order], same[order]
    # With the threshold below position i, impostors before i and genuine pairs from i on are judged rightly.
    rejected = np.concatenate([[0], np.cumsum(~genuine)])
    accepted = genuine.sum() - np.concatenate([[0], np.cumsum(genuine)])
    right = np.where(np.concatenate([[True], ascending[1:] > ascending[:-1], [True]]), rejected + accepted, -1)
    best = len(score) - int(right[::-1].argmax())
    if best in (0, len(score)):
        return float("inf") if best else float("-inf")
    below, above = float(ascending[best - 1]), float(ascending[best])
    middle = below + (above - below) / 2
    return middle if middle < above else below  # of neighbouring floats the middle is rounded to one of them


def grid_threshold(score: FloatArray, same: Same) -> float:
    """The published rule of FROM: of the cosines -1, -0.995, ... 0.995 the one that judges most pairs rightly.

    Accepted is what scores above the threshold; of equally good thresholds the highest is taken (lib/core/lfw_eval.py).
    FROM divides by the product of the lengths plus 1e-5; here it is the cosine itself.
    """
    grid = np.arange(-1.0, 1.0, 0.005)
    accepted = same.sum() - np.searchsorted(np.sort(score[same]), grid, side="right")
    rejected = np.searchsorted(np.sort(score[~same]), grid, side="right")
    right = accepted + rejected
    return float(grid[len(grid) - 1 - int(right[::-1].argmax())])


def fold_bounds(num_pairs: int, folds: int) -> NDArray[np.int64]:
    """(K + 1,) where the contiguous folds begin and end: fold i holds pairs i P // K up to (i + 1) P // K."""
    return np.arange(folds + 1, dtype=np.int64) * num_pairs // folds


def fold_accuracy(
    score: ArrayLike, same: ArrayLike, *, folds: int = 10, rule: ThresholdRule = exact_threshold
) -> FoldAccuracy:
    """Contiguous folds of score (P,), same (P,), in the order given; each is judged by the others' threshold.

    Raises `OptionError` for fewer than two folds, `ShapeError`, and `ProtocolError` for NaN, fewer pairs than folds,
    or when the other folds of some fold hold only genuine or only impostor pairs.
    """
    check_folds(folds)
    scores, truth = np.asarray(score, np.float64), np.asarray(same)
    if scores.ndim != 1 or truth.shape != scores.shape or truth.dtype != np.bool_:
        raise ShapeError(
            f"scores {scores.shape} and same {truth.shape} of {truth.dtype} must be (P,), same of booleans"
        )
    if np.isnan(scores).any():
        raise ProtocolError(f"the score of pair {int(np.isnan(scores).argmax())} is NaN; scores must be numbers")
    if len(scores) < folds:
        raise ProtocolError(f"{len(scores)} pairs do not fill {folds} folds; give fewer folds, at least 2")
    bounds = fold_bounds(len(scores), folds)
    correct = np.empty(len(scores), bool)
    accuracies, thresholds = np.empty(folds), np.empty(folds)
    for fold, (start, end) in enumerate(pairwise(bounds.tolist())):
        rest = np.r_[0:start, end : len(scores)]
        if truth[rest].all() or not truth[rest].any():
            kind = "impostor" if truth[rest].all() else "genuine"
            raise ProtocolError(
                f"outside fold {fold + 1} of {folds} there is no {kind} pair to choose a threshold with; "
                "every fold needs some of both kinds"
            )
        thresholds[fold] = rule(scores[rest], truth[rest])
        correct[start:end] = (scores[start:end] > thresholds[fold]) == truth[start:end]
        accuracies[fold] = correct[start:end].mean()
    return FoldAccuracy(accuracies, thresholds, correct)


def check_folds(folds: int) -> None:
    """At least two, or `OptionError`."""
    check_whole("folds", folds, least=2, usual=10)
