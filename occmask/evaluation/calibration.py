"""Are probabilities what they say?  Reliability in bins, the expected calibration error, and temperatures that mend it.

Sources: Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 2 for the diagram and the error,
section 4.2 for the temperature; Nguyen and O'Connor (EMNLP 2015) for bins of equal mass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ProtocolError, ShapeError
from .checks import check_whole
from .metrics import FloatArray, IntArray

BINS = 15  # the customary number (Guo et al.)
COLDEST, HOTTEST = 0.02, 50.0  # temperatures beyond which every answer is sure, or a coin's
_STEPS = 100  # of the search for a root; bisection alone would need 50


class Reliability(NamedTuple):
    """Probabilities in bins, lowest first, and what came of them; an empty bin has NaN for both means."""

    edges: FloatArray  # (bins + 1,) from 0 to 1; a bin holds its lower edge, the last one both
    confidence: FloatArray  # (bins,) mean probability
    observed: FloatArray  # (bins,) mean outcome
    number: IntArray  # (bins,) how many

    @property
    def ece(self) -> float:
        """Expected calibration error: |confidence - observed| of a bin, averaged over all that is in the bins."""
        filled = self.number > 0
        gap = np.abs(self.confidence - self.observed)[filled]
        return float(self.number[filled] @ gap / self.number.sum())


def reliability(probability: ArrayLike, outcome: ArrayLike, *, bins: int = BINS) -> Reliability:
    """Probabilities and outcomes of any one shape, in bins of equal width.

    An outcome is 0 or 1, or a share between, such as how much of a cell is covered.  Raises `ShapeError`, `OptionError`
    for `bins`, `ProtocolError` for nothing, NaN and what lies outside [0, 1].
    """
    said, came = _checked(probability, outcome)
    return _binned(said, came, np.linspace(0, 1, check_whole("bins", bins, least=1, usual=BINS) + 1))


def reliability_by_mass(probability: ArrayLike, outcome: ArrayLike, *, bins: int = BINS) -> Reliability:
    """The same in bins that hold equally many, as nearly as ties allow: equal probabilities stay together.

    Where nearly all is said with confidence, as of the cells of mostly uncovered faces, bins of equal width leave the
    middle to a handful; these do not.  Raises as `reliability` does.
    """
    said, came = _checked(probability, outcome)
    check_whole("bins", bins, least=1, usual=BINS)
    ordered = np.sort(said)
    inner = np.unique(ordered[np.arange(1, bins) * len(ordered) // bins])
    return _binned(said, came, np.concatenate([[0.0], inner[(inner > 0) & (inner < 1)], [1.0]]))


def expected_calibration_error(probability: ArrayLike, outcome: ArrayLike, *, bins: int = BINS) -> float:
    """The ECE in bins of equal width, the default everywhere in occmask; `reliability_by_mass(...).ece` is the other.

    Raises as `reliability` does.
    """
    return reliability(probability, outcome, bins=bins).ece


def fit_temperature(logits: ArrayLike, outcome: ArrayLike) -> float:
    """The T that makes sigmoid(logits / T) the best probabilities: least binary cross entropy, in float64.

    logits, outcome of any one shape; an outcome lies in [0, 1].  The cross entropy is convex in 1 / T, so its slope has
    one root; where that lies beyond `COLDEST` or `HOTTEST` (logits that are always right, or know nothing), that limit.
    Raises `ShapeError`, `ProtocolError`.
    """
    z, y = np.asarray(logits, np.float64).ravel(), _outcomes(outcome)
    if z.shape != y.shape:
        raise ShapeError(f"there are {len(z)} logits and {len(y)} outcomes; one belongs to each")
    _check_logits(z)

    def slope(sharpness: float) -> tuple[float, float]:
        p = _sigmoid(sharpness * z)
        return float(z @ (p - y)), float((z * z) @ (p * (1 - p)))

    return 1 / _root(slope, 1 / HOTTEST, 1 / COLDEST)


def fit_class_temperature(logits: ArrayLike, label: ArrayLike) -> float:
    """The T that makes softmax(logits / T) the best probabilities: least cross entropy, in float64.

    logits (N, C), label (N,) in 0 .. C - 1.  Otherwise as `fit_temperature`.
    """
    z, y = np.asarray(logits, np.float64), np.asarray(label)
    if z.ndim != 2 or y.shape != z.shape[:1] or y.dtype.kind not in "iu":
        raise ShapeError(f"logits are (N, C) and labels (N,) whole numbers, not {z.shape} and {y.shape} of {y.dtype}")
    _check_logits(z)
    if y.min() < 0 or y.max() >= z.shape[1]:
        raise ProtocolError(f"labels lie in 0..{z.shape[1] - 1}, not {y.min()}..{y.max()}")
    z = z - z.max(1, keepdims=True)
    true = z[np.arange(len(z)), y]

    def slope(sharpness: float) -> tuple[float, float]:
        p = np.exp(sharpness * z)
        p /= p.sum(1, keepdims=True)
        mean = (p * z).sum(1)
        return float((mean - true).sum()), float(((p * z * z).sum(1) - mean**2).sum())

    return 1 / _root(slope, 1 / HOTTEST, 1 / COLDEST)


def _root(slope: Callable[[float], tuple[float, float]], low: float, high: float) -> float:
    """Where an increasing function (value, derivative) is zero: Newton's steps, and the middle where one leads out."""
    if slope(low)[0] >= 0:
        return low
    if slope(high)[0] <= 0:
        return high
    at = min(max(1.0, low), high)
    for _ in range(_STEPS):
        value, derivative = slope(at)
        low, high = (at, high) if value < 0 else (low, at)
        step = at - value / derivative if derivative > 0 else math.nan
        following = step if low < step < high else math.sqrt(low * high)
        if abs(following - at) <= 1e-12 * at:
            return following
        at = following
    return at


def _binned(said: FloatArray, came: FloatArray, edges: FloatArray) -> Reliability:
    bins = len(edges) - 1
    place = np.minimum(np.searchsorted(edges, said, side="right") - 1, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, values, bins) / count for values in (said, came)]
    return Reliability(edges, means[0], means[1], count.astype(np.int64))


def _checked(probability: ArrayLike, outcome: ArrayLike) -> tuple[FloatArray, FloatArray]:
    said, came = np.asarray(probability, np.float64).ravel(), _outcomes(outcome)
    if np.shape(probability) != np.shape(outcome):
        raise ShapeError(
            f"probabilities are {np.shape(probability)} and outcomes {np.shape(outcome)}; one belongs to each"
        )
    _check_shares("probabilities", said)
    return said, came


def _outcomes(outcome: ArrayLike) -> FloatArray:
    came = np.asarray(outcome, np.float64).ravel()
    if not len(came):
        raise ProtocolError("there is no outcome; at least one is needed")
    _check_shares("outcomes", came)
    return came


def _check_shares(name: str, values: FloatArray) -> None:
    if not ((values >= 0) & (values <= 1)).all():  # NaN is neither
        raise ProtocolError(f"{name} lie in [0, 1], not {values.min():g}..{values.max():g}")


def _check_logits(logits: FloatArray) -> None:
    if not logits.size or not np.isfinite(logits).all():
        raise ProtocolError("logits are finite numbers, at least one")


def _sigmoid(x: FloatArray) -> FloatArray:
    small = np.exp(-np.abs(x))  # never above 1
    found: FloatArray = np.where(x >= 0, 1, small) / (1 + small)
    return found
