"""Figures of scored pairs with intervals over the people in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bootstrap import Bootstrap
from .far import check_resolvable
from .figure_names import at_far
from .metrics import Estimate, FloatArray, IntArray, PairScores, RocCurve
from .outcomes import Comparison


class ScoredPairs(NamedTuple):
    """P pairs, what they score and whom they show."""

    score: FloatArray  # (P,) cosine similarities
    same: NDArray[np.bool_]  # (P,) True where a pair shows one person
    first: IntArray  # (P,) the people of a pair, 0..people-1
    second: IntArray

    def weights(self, drawn: FloatArray) -> FloatArray:
        """(people,) how often each person was drawn -> (P,) how often each pair counts.

        A pair of one person counts as often as that person was drawn, a pair of two the product, as in `Verification`.
        """
        weight: FloatArray = drawn[self.first]
        return np.where(self.first == self.second, weight, weight * drawn[self.second])


class PairFigures(NamedTuple):
    """What verification of some pairs measured."""

    estimates: dict[str, Estimate]  # "auc", "eer", "tar@1e-2" and what was asked besides
    draws: dict[str, FloatArray]  # the same figures of every bootstrap draw
    roc: RocCurve


def pair_figures(
    pairs: ScoredPairs,
    *,
    num_people: int,
    fars: Sequence[float],
    bootstrap: Bootstrap,
    others: Mapping[str, Callable[[FloatArray], float]] | None = None,
) -> PairFigures:
    """AUC, EER and TAR at each FAR, and other figures of the pairs, all from the same draws of people.

    `others` maps names to functions of the pairs' weights (P,).  Raises `ProtocolError` without a genuine or an
    impostor pair, for fewer than two people, and for a FAR at which fewer than 10 impostors would pass.
    """
    others = dict(others or {})
    check_resolvable(fars, int((~pairs.same).sum()))
    sorted_pairs = PairScores(pairs.score[pairs.same], pairs.score[~pairs.same])
    genuine_at = np.flatnonzero(pairs.same)[sorted_pairs.genuine_order]
    impostor_at = np.flatnonzero(~pairs.same)[sorted_pairs.impostor_order]

    def figures(drawn: FloatArray) -> tuple[float, ...] | None:
        weight = pairs.weights(drawn)
        genuine, impostor = weight[genuine_at], weight[impostor_at]
        if not genuine.any() or not impostor.any():
            return None
        weighed = sorted_pairs.weigh(genuine, impostor)
        tars = (weighed.tar_at_far(far) for far in fars)
        return *(other(weight) for other in others.values()), weighed.auc(), weighed.eer(), *tars

    draws = bootstrap.draw(figures, num_people=num_people)
    names = [*others, "auc", "eer", *(at_far("tar", far) for far in fars)]
    return PairFigures(
        dict(zip(names, bootstrap.intervals(draws), strict=True)),
        dict(zip(names, draws.drawn.T, strict=True)),
        sorted_pairs.weigh().roc(),
    )


def weighted_mean(values: FloatArray) -> Callable[[FloatArray], float]:
    """The mean of values (P,) as a figure of the pairs' weights."""
    return lambda weight: float(weight @ values / weight.sum())


def worst_pairs(
    pairs: ScoredPairs, left: Callable[[int], str], right: Callable[[int], str], *, count: int = 10
) -> tuple[Comparison, ...]:
    """The genuine pairs scored lowest and the impostor pairs scored highest; `left(p)` and `right(p)` name pictures."""
    genuine, impostor = np.flatnonzero(pairs.same), np.flatnonzero(~pairs.same)
    lowest = genuine[_smallest(pairs.score[genuine], count)]
    highest = impostor[_smallest(-pairs.score[impostor], count)]
    return tuple(
        Comparison(left(p), right(p), float(pairs.score[p]), bool(pairs.same[p]))
        for p in [*lowest.tolist(), *highest.tolist()]
    )


def _smallest(values: FloatArray, count: int) -> NDArray[np.intp]:
    """Where the smallest are, the smallest first, of equal ones the first."""
    if len(values) > count:
        few = np.flatnonzero(values <= np.partition(values, count - 1)[count - 1])
    else:
        few = np.arange(len(values))
    chosen: NDArray[np.intp] = few[np.argsort(values[few], kind="stable")][:count]
    return chosen
