"""One threshold for clean and covered faces: how far the false accept rate moves when faces are covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..evaluation.metrics import FloatArray
from .figures import Run
from .settings import FAR


def false_accepts(runs: Sequence[Run], entries: Sequence[str]) -> dict[str, dict[str, float]]:
    """Entry -> condition -> FAR at the threshold that accepts `FAR` of the clean pairs of two people; means over runs.

    The threshold is that of the same people's clean pictures, so only the covering moves it.
    """
    return {entry: {c: _mean([_far(run, entry, c) for run in runs]) for c in runs[0].scores} for entry in entries}


def _far(run: Run, entry: str, condition: str) -> float:
    apart = run.label[:, None] != run.label[None, :]
    clean: FloatArray = run.scores["clean"][entry][apart]
    threshold = np.quantile(clean, 1 - FAR)
    return float((run.scores[condition][entry][apart] >= threshold).mean())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def factors(rates: Mapping[str, float]) -> dict[str, float]:
    """How many times too high, or too low, the false accept rate is under each condition: at least 1."""
    found = {condition: max(rate, 1e-9) / FAR for condition, rate in rates.items()}
    return {condition: max(times, 1 / times) for condition, times in found.items()}
