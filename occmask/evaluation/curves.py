"""Curves small enough for a page and a JSON file."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .metrics import RocCurve
from .result import Curve

_BINS = 100  # of histograms, over [-1, 1]


def thin_roc(roc: RocCurve, *, points: int = 200) -> Curve:
    """Vertices of an exact ROC at about `points` places of a logarithmic axis of FAR, from the first to the last."""
    far, tar = roc.far, roc.tar
    positive = far[far > 0]
    wanted = np.concatenate([[0.0], np.geomspace(positive.min(), 1, points) * (1 + 1e-9)])
    kept = np.unique(np.concatenate([[0], np.searchsorted(far, wanted, side="right") - 1]))
    return Curve(far[kept], tar[kept])


def score_histogram(scores: ArrayLike, *, bins: int = _BINS) -> Curve:
    """Cosine similarities as a histogram over [-1, 1]: centres of the bins, and the share of the scores in each."""
    array = np.clip(np.asarray(scores, np.float64).reshape(-1), -1, 1)
    counts, edges = np.histogram(array, bins=bins, range=(-1, 1))
    return Curve((edges[:-1] + edges[1:]) / 2, counts / max(len(array), 1))
