"""How well the predicted covered box meets the true one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ProtocolError, ShapeError
from .bootstrap import Bootstrap
from .checks import labels_of
from .metrics import Estimate, FloatArray


class OcclusionResult(NamedTuple):
    """What the answers to "what is covered?" are worth."""

    iou: Estimate  # mean over faces of the IoU of predicted and true box; on clean faces the share answered clean
    answered_clean: Estimate  # share of faces of which the model says that nothing is covered
    iou_each: FloatArray  # (N,)


class OcclusionAccuracy:
    """Mean IoU of predicted and true box, with an interval over identities."""

    def __init__(self, *, confidence: float = 0.95, resamples: int = 200, seed: int = 0):
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(self, predicted: ArrayLike, true: ArrayLike, labels: ArrayLike) -> OcclusionResult:
        """predicted, true (N, 4): x0 y0 x1 y1, an empty box = nothing covered; labels (N,): whose face it is.

        Raises `ShapeError`, or `ProtocolError` for NaN and for fewer than two people.
        """
        iou = box_iou(predicted, true)
        people = labels_of("face", labels, len(iou))
        return OcclusionResult(
            iou=self.bootstrap.mean(iou, people),
            answered_clean=self.bootstrap.mean(is_empty(predicted), people),
            iou_each=iou,
        )


def box_iou(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Intersection over union of boxes, row by row: (N, 4), (N, 4) -> (N,), x0 y0 x1 y1 in any one unit.

    Two empty boxes agree (1); an empty and another one share nothing (0).  Raises `ShapeError`, `ProtocolError` (NaN).
    """
    first, second = _boxes(a), _boxes(b)
    if first.shape != second.shape:
        raise ShapeError(f"there are {len(first)} boxes and {len(second)}; they are compared row by row")
    overlap = _area(np.concatenate([np.maximum(first, second)[:, :2], np.minimum(first, second)[:, 2:]], axis=1))
    union = _area(first) + _area(second) - overlap
    both_empty = is_empty(first) & is_empty(second)
    return np.where(both_empty, 1.0, overlap / np.where(union > 0, union, 1.0))


def is_empty(boxes: ArrayLike) -> NDArray[np.bool_]:
    """(N, 4) -> (N,): True where a box has no width or no height, the answer "nothing is covered"."""
    box = _boxes(boxes)
    return (box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1])


def _area(box: FloatArray) -> FloatArray:
    return np.clip(box[:, 2] - box[:, 0], 0, None) * np.clip(box[:, 3] - box[:, 1], 0, None)


def _boxes(boxes: ArrayLike) -> FloatArray:
    array = np.asarray(boxes, np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ShapeError(f"boxes are {array.shape}; they must be (N, 4): x0 y0 x1 y1")
    if np.isnan(array).any():
        raise ProtocolError(f"box {int(np.isnan(array).any(axis=1).argmax())} holds NaN; corners must be numbers")
    return array
