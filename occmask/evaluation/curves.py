"""Curves small enough for a page and a JSON file, whose every point is exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .metrics import FloatArray, RocCurve
from .outcomes import Curve

MAX_POINTS = 512
_BINS = 100
_DECADES = 6.0  # of FAR that a logarithmic axis shows


def thin_roc(roc: RocCurve, *, points: int = MAX_POINTS) -> Curve:
    """At most `points` vertices of an exact ROC, FAR against TAR, the first and the last among them.

    Vertices on a straight line between their neighbours go first, which changes nothing.  Of more than `points`
    corners those are kept that are evenly spread along the curve as it is drawn, on a linear and a logarithmic axis of
    FAR together, so that neither drawing moves visibly.
    """
    corner = _corners(roc.far, roc.tar)
    far, tar = roc.far[corner], roc.tar[corner]
    if len(far) > points:
        logarithm = np.log10(np.maximum(far, 10**-_DECADES)) / _DECADES
        along = np.concatenate([[0], np.cumsum(sum(np.abs(np.diff(axis)) for axis in (far, tar, logarithm)))])
        chosen = np.unique(np.searchsorted(along, np.linspace(0, along[-1], points)).clip(0, len(far) - 1))
        far, tar = far[chosen], tar[chosen]
    return Curve(far, tar)


def score_histogram(scores: ArrayLike, *, bins: int = _BINS) -> Curve:
    """Cosine similarities as a histogram over [-1, 1]: centres of the bins, and the share of the scores in each."""
    array = np.clip(np.asarray(scores, np.float64).reshape(-1), -1, 1)  # a rounding error may lie outside
    counts, edges = np.histogram(array, bins=bins, range=(-1, 1))
    return Curve((edges[:-1] + edges[1:]) / 2, counts / max(len(array), 1))


def _corners(far: FloatArray, tar: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(V,) False for vertices within a horizontal or vertical run."""
    level = (far[2:] == far[1:-1]) & (far[1:-1] == far[:-2])
    upright = (tar[2:] == tar[1:-1]) & (tar[1:-1] == tar[:-2])
    return np.concatenate([[True], ~(level | upright), [True]])
