"""Error against reject: what is gained by leaving out the comparisons that a quality score calls poor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import OptionError, ProtocolError, ShapeError
from .metrics import FloatArray


class RejectionCurve(NamedTuple):
    """The false non-match rate (FNMR) of what is kept, against the share of the comparisons that is rejected.

    `rejected` ascends from 0; a vertex stands wherever the quality of the next one differs.  Between two of them, where
    the quality does not say whom to reject, the error is that of rejecting at random among them: see `at`.
    """

    rejected: FloatArray  # (V,) in [0, 1)
    errors: FloatArray  # (V,) false non-matches that are kept, as a share of all comparisons

    def at(self, rejected: ArrayLike) -> FloatArray:
        """The FNMR at these rejected shares, each from 0 to below 1."""
        share = np.asarray(rejected, np.float64)
        if share.size and not (share.min() >= 0 and share.max() < 1):
            raise OptionError("the rejected share lies in [0, 1): with everything rejected there is no error to count")
        left: FloatArray = np.interp(share, np.append(self.rejected, 1.0), np.append(self.errors, 0.0)) / (1 - share)
        return left

    @property
    def error(self) -> float:
        """The FNMR with nothing rejected."""
        return float(self.errors[0])

    def ideal(self, rejected: ArrayLike) -> FloatArray:
        """The FNMR of a quality score that rejects the false non-matches first."""
        share = np.asarray(rejected, np.float64)
        best: FloatArray = np.maximum(0.0, self.error - share) / (1 - share)
        return best


class RejectionGain(NamedTuple):
    """The areas under a rejection curve, under the ideal one and under that of rejecting at random, up to a share."""

    area: float
    ideal: float
    random: float

    @property
    def gain(self) -> float:
        """How much of what could be gained is: 1 for the ideal score, 0 for a random one, less for a harmful one."""
        return (self.random - self.area) / (self.random - self.ideal) if self.random > self.ideal else 0.0


def rejection_curve(genuine: ArrayLike, quality: ArrayLike, *, threshold: float) -> RejectionCurve:
    """Error against reject of genuine comparisons at a fixed threshold, those of the lowest quality rejected first.

    genuine (N,): scores; a pair is matched when its score is at least `threshold`.  quality (N,): larger is better; of
    a pair it is usually the smaller one of its two faces.  Ties are rejected together, in no order.
    Source: Grother and Tabassi, "Performance of biometric quality measures", PAMI 29(4), 2007, section 5.
    Raises `ShapeError` and `ProtocolError` (none, NaN).
    """
    scores, qualities = np.asarray(genuine, np.float64), np.asarray(quality, np.float64)
    if scores.ndim != 1 or scores.shape != qualities.shape:
        raise ShapeError(f"scores are {scores.shape} and qualities {qualities.shape}; both must be (N,), one a pair")
    if not len(scores):
        raise ProtocolError("there is no genuine pair; at least one is needed")
    if np.isnan(scores).any() or np.isnan(qualities).any() or np.isnan(threshold):
        raise ProtocolError("scores, qualities and the threshold must be numbers, and one of them is NaN")
    order = np.argsort(qualities, kind="stable")
    sorted_quality, missed = qualities[order], scores[order] < threshold
    first = np.flatnonzero(np.concatenate([[True], sorted_quality[1:] != sorted_quality[:-1]]))  # of each tie
    kept = np.concatenate([np.cumsum(missed[::-1])[::-1], [0]])[first]  # false non-matches from there on
    return RejectionCurve(first / len(scores), kept / len(scores))


def rejection_gain(curve: RejectionCurve, *, up_to: float = 0.5, points: int = 512) -> RejectionGain:
    """The areas under a curve from 0 to the share `up_to`, by the trapezium rule on `points` equal steps.

    Raises `OptionError`.
    """
    if not 0 < up_to < 1:
        raise OptionError(f"up_to is the largest rejected share, in (0, 1), not {up_to!r}")
    share = np.linspace(0, up_to, points + 1)
    random = np.full_like(share, curve.error)
    areas = (float((y[1:] + y[:-1]).sum() / 2 * up_to / points) for y in (curve.at(share), curve.ideal(share), random))
    return RejectionGain(*areas)
