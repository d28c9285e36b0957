"""Score matrices of folds and seeds -> figures with intervals over people, and paired differences.

Every person is held out in one fold.  A bootstrap draw takes people with replacement from all of them; each fold's
figures are computed with the people drawn from it, and averaged over folds and seeds.  All entries and conditions see
the same draws, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..evaluation.bootstrap import Bootstrap
from ..evaluation.metrics import Estimate, FloatArray, IntArray, PairScores
from .settings import FAR, MEANS

METRICS = ("auc", "tar", "rank1")


class Run(NamedTuple):
    """One fold and one seed."""

    fold: int
    seed: int
    label: IntArray  # (N,) people of this fold, from 0
    scores: Mapping[str, Mapping[str, FloatArray]]  # condition -> entry -> (N, N); row i and column i: one photograph


class Table(NamedTuple):
    """Figures of every entry under every condition and on average over several."""

    entries: tuple[str, ...]
    conditions: tuple[str, ...]  # with the names of `MEANS` at the end
    whole: FloatArray  # (entries, conditions, metrics)
    drawn: FloatArray  # (resamples, entries, conditions, metrics)
    folds: FloatArray  # (folds, entries, conditions, metrics), means over seeds
    confidence: float

    def estimate(self, entry: str, condition: str, metric: str) -> Estimate:
        """A figure and its interval."""
        at = self._at(entry, condition, metric)
        return self._estimate(self.whole[at], self.drawn[(slice(None), *at)])

    def difference(self, entry: str, against: str, condition: str, metric: str) -> tuple[Estimate, int]:
        """Entry minus another, with its interval, and in how many folds it is above."""
        a, b = (self._at(name, condition, metric) for name in (entry, against))
        whole = self.whole[a] - self.whole[b]
        drawn = self.drawn[(slice(None), *a)] - self.drawn[(slice(None), *b)]
        won = self.folds[(slice(None), *a)] > self.folds[(slice(None), *b)]
        return self._estimate(whole, drawn), int(won.sum())

    def _at(self, entry: str, condition: str, metric: str) -> tuple[int, int, int]:
        return self.entries.index(entry), self.conditions.index(condition), METRICS.index(metric)

    def _estimate(self, whole: float, drawn: FloatArray) -> Estimate:
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return Estimate(float(whole), float(low), float(high))


def tabulate(runs: Sequence[Run], *, people_per_fold: Sequence[int], bootstrap: Bootstrap) -> Table:
    """Everything about every entry, from runs whose folds have so many people each."""
    conditions = tuple(runs[0].scores)
    entries = tuple(runs[0].scores[conditions[0]])
    cells = [[[_Cell(run.scores[c][e], run.label) for c in conditions] for e in entries] for run in runs]
    starts = np.concatenate([[0], np.cumsum(people_per_fold)])
    num_folds = len(people_per_fold)

    def of_folds(drawn: FloatArray) -> FloatArray | None:
        """(folds, entries, conditions, metrics)."""
        found = np.zeros((num_folds, len(entries), len(conditions), len(METRICS)))
        count = np.zeros(num_folds)
        for run, rows in zip(runs, cells, strict=True):
            own = drawn[starts[run.fold] : starts[run.fold + 1]]
            if (own > 0).sum() < 2:
                return None
            found[run.fold] += [[cell.figures(own) for cell in row] for row in rows]
            count[run.fold] += 1
        return found / count[:, None, None, None]

    def statistic(drawn: FloatArray) -> tuple[float, ...] | None:
        found = of_folds(drawn)
        return None if found is None else tuple(found.mean(0).ravel())

    draws = bootstrap.draw(statistic, num_people=int(starts[-1]))
    shape = (len(entries), len(conditions), len(METRICS))
    folds = of_folds(np.ones(starts[-1]))
    assert folds is not None
    whole, drawn = np.reshape(draws.whole, shape), draws.drawn.reshape(-1, *shape)
    means = [[conditions.index(c) for c in members] for members in MEANS.values() if set(members) <= set(conditions)]
    named = tuple(name for name, members in MEANS.items() if set(members) <= set(conditions))
    return Table(
        entries,
        (*conditions, *named),
        _with_means(whole, means),
        _with_means(drawn, means),
        _with_means(folds, means),
        bootstrap.confidence,
    )


def _with_means(figures: FloatArray, means: Sequence[Sequence[int]]) -> FloatArray:
    """(..., conditions, metrics) with the means over some conditions behind them."""
    more = [figures[..., members, :].mean(-2, keepdims=True) for members in means]
    return np.concatenate([figures, *more], axis=-2)


class _Cell:
    """One score matrix, sorted once for any weighting of its people."""

    def __init__(self, score: FloatArray, label: IntArray):
        same: NDArray[np.bool_] = label[:, None] == label[None, :]
        other_photograph = ~np.eye(len(label), dtype=bool)
        genuine, impostor = np.nonzero(same & other_photograph), np.nonzero(~same)
        self.pairs = PairScores(score[genuine], score[impostor])
        self.owner = label[genuine[0][self.pairs.genuine_order]]
        self.first = label[impostor[0][self.pairs.impostor_order]]
        self.second = label[impostor[1][self.pairs.impostor_order]]
        nearest = np.where(other_photograph, score, -np.inf).argmax(axis=0)  # of the clean pictures, for each probe
        correct = (label[nearest] == label).astype(np.float64)
        self.correct = np.bincount(label, weights=correct)
        self.count = np.bincount(label).astype(np.float64)

    def figures(self, drawn: FloatArray) -> tuple[float, float, float]:
        """AUC, TAR at `FAR` and leave-one-out rank-1, with people counted as often as they were drawn."""
        weighed = self.pairs.weigh(drawn[self.owner], drawn[self.first] * drawn[self.second])
        rank1 = float(drawn @ self.correct / (drawn @ self.count))
        return weighed.auc(), weighed.tar_at_far(FAR), rank1
