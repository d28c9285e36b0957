"""Intervals by resampling people, not pictures: pictures of one person stand or fall together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import OptionError, ProtocolError, ShapeError
from .metrics import Estimate, FloatArray

Statistic = Callable[[FloatArray], "tuple[float, ...] | None"]


class Draws(NamedTuple):
    """Some figures of the whole sample and of every bootstrap sample, in the order they were drawn."""

    whole: tuple[float, ...]
    drawn: FloatArray  # (resamples, figures)


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """A percentile bootstrap over identities: as many people as there are, drawn with replacement.

    `confidence` of the interval, number of `resamples`, `seed`.  Raises `OptionError` for values that cannot be.
    """

    confidence: float = 0.95
    resamples: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise OptionError(f"confidence is {self.confidence!r}; it lies strictly between 0 and 1, such as 0.95")
        if self.resamples < 1:
            raise OptionError(f"resamples is {self.resamples!r}; at least 1 is needed, 200 are usual")
        if self.seed < 0:
            raise OptionError(f"seed is {self.seed!r}; it is a whole number from 0 on")

    def estimates(self, statistic: Statistic, *, num_people: int) -> tuple[Estimate, ...]:
        """The statistics of the whole sample, each with its interval; arguments and errors are those of `draw`."""
        return self.intervals(self.draw(statistic, num_people=num_people))

    def draw(self, statistic: Statistic, *, num_people: int) -> Draws:
        """The statistics of the whole sample and of every draw of people.

        `statistic` gets how often each person was drawn, (num_people,), and returns its figures, or None
        when that draw leaves nothing to measure: such a draw is drawn again.
        Raises `ProtocolError` with fewer than two people.
        """
        if num_people < 2:
            raise ProtocolError(f"an interval over identities needs at least two people, not {num_people}")
        whole = statistic(np.ones(num_people))
        if whole is None:
            raise ProtocolError("the data leave nothing to measure; at least one genuine and one impostor pair must")
        rng = np.random.default_rng(self.seed)
        share = np.full(num_people, 1 / num_people)
        figures: list[tuple[float, ...]] = []
        while len(figures) < self.resamples:
            drawn = statistic(rng.multinomial(num_people, share).astype(np.float64))
            if drawn is not None:
                figures.append(drawn)
        return Draws(whole, np.array(figures))

    def intervals(self, draws: Draws) -> tuple[Estimate, ...]:
        """Each figure with the percentiles of its draws."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(draws.drawn, [tail, 1 - tail], axis=0)
        return tuple(Estimate(v, float(a), float(b)) for v, a, b in zip(draws.whole, low, high, strict=True))

    def mean(self, values: ArrayLike, labels: ArrayLike) -> Estimate:
        """Mean of values (N,) over pictures, with an interval over the people in labels (N,)."""
        array, label = np.asarray(values, np.float64), np.asarray(labels)
        if array.ndim != 1 or array.shape != label.shape:
            raise ShapeError(f"values {array.shape} and labels {label.shape} must both be (N,), one label a value")
        if np.isnan(array).any():
            raise ProtocolError(f"value {int(np.isnan(array).argmax())} is NaN; a mean needs numbers")
        people, person = np.unique(label, return_inverse=True)
        total = np.bincount(person, weights=array, minlength=len(people))
        count = np.bincount(person, minlength=len(people)).astype(np.float64)
        return self.estimates(lambda drawn: (float(drawn @ total / (drawn @ count)),), num_people=len(people))[0]


def paired_difference(
    correct_a: ArrayLike,
    correct_b: ArrayLike,
    labels: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> Estimate:
    """Mean of a - b over the same pictures, with a bootstrap interval over identities.

    correct_a, correct_b (P,): what two methods scored on each probe (rank-1 hits, or any figure a probe);
    labels (P,): whose picture it is.  People are drawn once for both methods, so what they share cancels.
    An interval without 0 says the methods differ on these people.  Raises `ShapeError`, `ProtocolError`.
    """
    a, b = np.asarray(correct_a, np.float64), np.asarray(correct_b, np.float64)
    if a.shape != b.shape:
        raise ShapeError(
            f"the two methods were measured on {a.shape} and {b.shape} pictures; they must be the same ones"
        )
    return Bootstrap(confidence=confidence, resamples=resamples, seed=seed).mean(a - b, labels)
