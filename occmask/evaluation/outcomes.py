"""What measures yield besides figures: the outcomes behind them, curves, and single comparisons."""

from __future__ import annotations

from typing import NamedTuple

from .metrics import FloatArray, IntArray


class Trials(NamedTuple):
    """The outcomes whose mean a figure is: what a paired comparison of two models resamples."""

    person: IntArray  # (T,) whose outcome it is: intervals draw people
    value: FloatArray  # (T,)


class Curve(NamedTuple):
    """A line or a histogram: for "roc" FAR and TAR, for "cmc" rank and share, for histograms bin centres and shares."""

    x: FloatArray  # (V,)
    y: FloatArray  # (V,)


class Comparison(NamedTuple):
    """One pair of pictures and what the model thought of it."""

    left: str  # names of the pictures in the data set
    right: str
    score: float  # cosine similarity
    same: bool  # whether they show one person
