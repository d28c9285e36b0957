"""Counts of scores in fine bins: what AUC, EER and ROC can be read from when the scores themselves are gone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .metrics import FloatArray
from .outcomes import Curve

BINS = 2**16  # of equal width over cosines -1..1
SHOWN_BINS = 128
ROC_POINTS = 256


class Within(NamedTuple):
    """A figure that is off by no more than `error`."""

    value: float
    error: float


class ScoreHistogram:
    """How many scores fell into each of `BINS` bins; bins are ordered as the scores are, on any device."""

    def __init__(self) -> None:
        self.count = np.zeros(BINS, np.int64)

    def add(self, score: Tensor, *, blanks: int = 0) -> None:
        """Count the scores, those beyond -1..1 in the outer bins; `blanks` of them lie below all and are no pairs."""
        place = score.add(1).mul_(BINS / 2).clamp_(0, BINS - 1).to(torch.int32).flatten()
        self.count += torch.bincount(place, minlength=BINS).cpu().numpy()
        self.count[0] -= blanks

    def shares(self) -> Curve:
        """Share of the scores in each of `SHOWN_BINS` bins, at its centre."""
        count = self.count.reshape(SHOWN_BINS, -1).sum(axis=1)
        centres = (np.arange(SHOWN_BINS) + 0.5) * 2 / SHOWN_BINS - 1
        return Curve(centres, count / max(count.sum(), 1))

    def auc(self, impostor: ScoreHistogram) -> Within:
        """P(genuine > impostor) + P(tie) / 2, this being the genuine scores; pairs of one bin may go either way."""
        genuine, others = self.count.astype(np.float64), impostor.count.astype(np.float64)
        pairs = genuine.sum() * others.sum()
        below = np.cumsum(others) - others
        undecided = float(genuine @ others / pairs)
        return Within(float(genuine @ below / pairs) + undecided / 2, undecided / 2)

    def eer(self, impostor: ScoreHistogram) -> Within:
        """The equal error rate, this being the genuine scores: it lies between the errors at two edges of one bin."""
        far, tar = _edges(impostor), _edges(self)
        after = int(np.argmax(far - (1 - tar) >= 0))
        (far0, frr0), (far1, frr1) = (far[after - 1], 1 - tar[after - 1]), (far[after], 1 - tar[after])
        value = far0 + (frr0 - far0) / ((far1 - far0) + (frr0 - frr1)) * (far1 - far0)
        low, high = max(far0, frr1), min(far1, frr0)
        return Within(float(value), float(max(high - value, value - low)))

    def roc(self, impostor: ScoreHistogram, genuine_score: NDArray[np.float32], tail: NDArray[np.float32]) -> Curve:
        """At most `ROC_POINTS` points of the exact ROC: scores of the tail (best first), then edges of bins."""
        num_impostor = int(impostor.count.sum())
        counts = np.flatnonzero(np.diff(tail, append=-np.inf)) + 1  # how many are accepted at each distinct score
        thresholds = tail[counts - 1]
        ascending = np.sort(genuine_score)
        passed = len(ascending) - np.searchsorted(ascending, thresholds, side="left")
        far, tar = _edges(impostor), _edges(self)
        beyond = far > counts[-1] / num_impostor
        all_far = np.concatenate([[0.0], counts / num_impostor, far[beyond]])
        all_tar = np.concatenate([[0.0], passed / len(ascending), tar[beyond]])
        wanted = np.concatenate(
            [np.geomspace(1 / num_impostor, 1, ROC_POINTS // 2), np.linspace(0, 1, ROC_POINTS - ROC_POINTS // 2)]
        )
        chosen = np.unique(np.searchsorted(all_far, wanted, side="right") - 1)
        return Curve(all_far[chosen], all_tar[chosen])


def _edges(histogram: ScoreHistogram) -> FloatArray:
    """Share of the scores in the bins from the top down to each edge, strictest first: (BINS + 1,)."""
    count = histogram.count[::-1]
    edges: FloatArray = np.concatenate([[0], np.cumsum(count)]) / count.sum()
    return edges
