"""Scores -> the curves a page draws: a thinned ROC, histograms, and the pairs a model was most wrong about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .inputs import Faces
from .metrics import FloatArray, IntArray
from .result import Comparison, Curve

_BINS = 80  # of histograms, over [-1, 1]
_POINTS = 120  # of a thinned ROC


def thin_roc(far: FloatArray, tar: FloatArray, *, num_impostor: int) -> Curve:
    """Those vertices of an exact ROC that a logarithmic axis can show: at most 121, from FAR 0 to 1.

    The first is the best TAR that no impostor passes with.
    """
    wanted = np.concatenate([[0.0], np.geomspace(1 / num_impostor, 1, _POINTS) * (1 + 1e-9)])
    kept = np.unique(np.searchsorted(far, wanted, side="right") - 1)
    return Curve(far[kept], tar[kept])


def histogram(scores: FloatArray) -> Curve:
    """Shares of cosine similarities in 80 bins over [-1, 1], by bin centre."""
    counts, edges = np.histogram(np.clip(scores, -1, 1), bins=_BINS, range=(-1, 1))
    return Curve((edges[:-1] + edges[1:]) / 2, counts / max(1, len(scores)))


def most_wrong(
    score: FloatArray, same: NDArray[np.bool_], faces: Faces, left: IntArray, right: IntArray, *, count: int
) -> tuple[Comparison, ...]:
    """The `count` genuine pairs scored lowest, then the `count` impostor pairs scored highest.

    score, same (L, R): rows are the pictures `left` (L,) of `faces`, columns the pictures `right` (R,).
    """
    worst = []
    for genuine, badness in ((True, score), (False, -score)):
        flat = np.where(same == genuine, badness, np.inf).reshape(-1)
        number = min(count, int((same == genuine).sum()))
        nearest = np.argpartition(flat, number - 1)[:number] if number else np.zeros(0, np.int64)
        for at in sorted(nearest.tolist(), key=lambda at: (flat[at], at)):  # noqa: B023 (used at once)
            row, column = divmod(at, score.shape[1])
            names = faces.name(int(left[row])), faces.name(int(right[column]))
            worst.append(Comparison(*names, float(score[row, column]), genuine))
    return tuple(worst)
