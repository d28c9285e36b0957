"""What every protocol asks of its arrays before it measures anything."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from ..errors import OptionError, ProtocolError, ShapeError
from .metrics import FloatArray, IntArray


def unit_rows(name: str, embeddings: ArrayLike) -> FloatArray:
    """Embeddings (N, D) as float64 rows of length 1. Raises `ShapeError`, or `ProtocolError` naming the row."""
    rows = np.asarray(embeddings)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise ShapeError(f"{name} embeddings are {rows.shape} of {rows.dtype}; they must be numbers of shape (N, D)")
    if not rows.size:
        raise ProtocolError(f"there are no {name} embeddings; at least two people's are needed")
    rows = rows.astype(np.float64)
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise ProtocolError(
            f"row {int(bad.argmax())} of the {name} embeddings holds NaN or infinity ({int(bad.sum())} such rows of "
            f"{len(rows)}); every value must be finite"
        )
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not largest.all():
        row = int(largest[:, 0].argmin())
        raise ProtocolError(f"row {row} of the {name} embeddings is all zeros and has no direction")
    rows /= largest  # squares of the largest and smallest floats would not be finite, or zero
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def labels_of(name: str, labels: ArrayLike, count: int) -> IntArray:
    """Labels as (count,) int64. Raises `ShapeError`."""
    array = np.asarray(labels)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise ShapeError(
            f"{name} labels are {array.shape} of {array.dtype}; they must be ({count},) integers, one a picture"
        )
    return array.astype(np.int64)


def check_whole(name: str, value: object, *, least: int, usual: int) -> int:
    """An option that is a whole number from `least` on, or `OptionError`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise OptionError(f"{name} is {value!r}; at least {least} is needed, a whole number such as {usual}")
    return int(value)


def same_width(first: str, a: FloatArray, second: str, b: FloatArray) -> None:
    """Two sets of embeddings can be compared only when D is the same. Raises `ShapeError`."""
    if a.shape[1] != b.shape[1]:
        raise ShapeError(
            f"{first} embeddings have {a.shape[1]} numbers and {second} embeddings {b.shape[1]}; "
            "both must come from one model"
        )
