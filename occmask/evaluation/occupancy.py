"""How well a map of what is covered meets the truth: by cells, by pixels, and on faces with nothing on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ProtocolError, ShapeError
from .bootstrap import Bootstrap
from .calibration import expected_calibration_error
from .checks import check_whole, labels_of
from .metrics import Estimate, FloatArray, PairScores

BoolArray = NDArray[np.bool_]
AT_LEAST = 0.5  # the probability from which a place is called covered, and the share from which a cell is


class OccupancyResult(NamedTuple):
    """What maps of what is covered are worth, with intervals over identities."""

    cell_auc: Estimate | None  # covered against visible cells of all faces; None where all cells are alike
    pixel_iou: Estimate  # mean over faces of the IoU of called and truly covered pixels; two empty sets agree
    flagged: Estimate  # share of faces with any cell called covered
    area: Estimate  # mean share of a face's pixels called covered
    calibration_error: float  # of the places of the map: see `calibration.expected_calibration_error`
    iou_each: FloatArray  # (N,)


class OccupancyAccuracy:
    """Cell AUC, mean pixel IoU and the share of faces with a cell called covered, each with an interval over people.

    `cells` (rows, columns): the grid of cells, that of the trunk's top map in FROM's models.  A cell is as probably
    covered as its pixels are on average, and truly covered when half of it is.
    """

    def __init__(
        self,
        *,
        cells: tuple[int, int] = (7, 6),
        confidence: float = 0.95,
        resamples: int = 200,
        seed: int = 0,
    ):
        self.cells = (
            check_whole("cells", cells[0], least=1, usual=7),
            check_whole("cells", cells[1], least=1, usual=6),
        )
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(self, coverage: ArrayLike, covered: ArrayLike, labels: ArrayLike) -> OccupancyResult:
        """coverage (N, h, w): probabilities on a grid of any size; covered (N, H, W) bool; labels (N,): whose face.

        Raises `ShapeError`, or `ProtocolError` for what is no probability and for fewer than two people.
        """
        probability, truth = _maps(coverage, covered)
        people = labels_of("face", labels, len(truth))
        pixels = stretched(probability, truth.shape[1:])
        called = pixels >= AT_LEAST
        cell = np.round(cell_means(pixels, self.cells), 12)  # equal cells tie, whatever order they were summed in
        cell_truth = cell_means(truth, self.cells) >= AT_LEAST
        iou = mask_iou(called, truth)
        return OccupancyResult(
            cell_auc=self._cell_auc(cell, cell_truth, people),
            pixel_iou=self.bootstrap.mean(iou, people),
            flagged=self.bootstrap.mean((cell >= AT_LEAST).any((1, 2)), people),
            area=self.bootstrap.mean(called.mean((1, 2)), people),
            calibration_error=expected_calibration_error(probability, cell_means(truth, probability.shape[1:])),
            iou_each=iou,
        )

    def _cell_auc(self, cell: FloatArray, truth: BoolArray, people: NDArray[np.int64]) -> Estimate | None:
        if truth.all() or not truth.any():
            return None
        names, person = np.unique(people, return_inverse=True)
        whose = np.broadcast_to(person[:, None, None], truth.shape)
        scores = PairScores(cell[truth], cell[~truth])
        covered, visible = whose[truth][scores.genuine_order], whose[~truth][scores.impostor_order]

        def figure(drawn: FloatArray) -> tuple[float, ...] | None:
            if not drawn[covered].any() or not drawn[visible].any():
                return None
            return (scores.weigh(drawn[covered], drawn[visible]).auc(),)

        return self.bootstrap.estimates(figure, num_people=len(names))[0]


def mask_iou(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Intersection over union of pixel sets, face by face: bool (N, H, W) twice -> (N,); two empty sets agree (1)."""
    first, second = np.asarray(a, bool), np.asarray(b, bool)
    if first.ndim != 3 or first.shape != second.shape:
        raise ShapeError(f"pixel sets are (N, H, W) and compared face by face, not {first.shape} and {second.shape}")
    both, either = (first & second).sum((1, 2)), (first | second).sum((1, 2))
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def stretched(maps: ArrayLike, size: tuple[int, ...]) -> FloatArray:
    """Maps (N, h, w) between the values at the middles of their places, on (height, width) pixels: (N, H, W)."""
    array = np.asarray(maps, np.float64)
    down, across = (_between(old, new) for old, new in zip(array.shape[1:], size, strict=True))
    out: FloatArray = down @ array @ across.T
    return out


def cell_means(maps: ArrayLike, grid: tuple[int, ...]) -> FloatArray:
    """Mean of maps (N, H, W) over each cell of a (rows, columns) grid, by area: (N, rows, columns)."""
    array = np.asarray(maps, np.float64)
    down, across = (_overlap(cells, side) for cells, side in zip(grid, array.shape[1:], strict=True))
    out: FloatArray = down @ array @ across.T
    return out


def _between(old: int, new: int) -> FloatArray:
    """(new, old): the weights of linear interpolation, the ends held."""
    at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    below = np.minimum(at.astype(np.int64), old - 1)
    above, share = np.minimum(below + 1, old - 1), at - below
    weights = np.zeros((new, old))
    np.add.at(weights, (np.arange(new), below), 1 - share)
    np.add.at(weights, (np.arange(new), above), share)
    return weights


def _overlap(cells: int, side: int) -> FloatArray:
    """(cells, side): the share of each of so many equal cells that each pixel makes up."""
    edges, pixel = np.linspace(0, side, cells + 1), np.arange(side)
    inside = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights: FloatArray = np.clip(inside, 0, None) * cells / side
    return weights


def _maps(coverage: ArrayLike, covered: ArrayLike) -> tuple[FloatArray, BoolArray]:
    probability, truth = np.asarray(coverage, np.float64), np.asarray(covered)
    if truth.dtype != bool or truth.ndim != 3:
        raise ShapeError(f"the covered maps are {truth.dtype} {truth.shape}; they must be bool (N, H, W)")
    if probability.ndim != 3 or len(probability) != len(truth) or not probability.size:
        raise ShapeError(f"the predicted maps are {probability.shape}; for {len(truth)} faces they must be (N, h, w)")
    bad = ~((probability >= 0) & (probability <= 1)).all((1, 2))  # NaN is neither
    if bad.any():
        raise ProtocolError(f"map {int(bad.argmax())} holds what is no probability; every value lies in [0, 1]")
    return probability, truth
