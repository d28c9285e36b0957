"""Occlusion patterns: the block rectangles of a K x K grid as classes, and the class that fits a covered region best.

Source: Qiu et al., TPAMI 2022, section 3.2 and Fig. 4.  NumPy only.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import OptionError, ShapeError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_EPS = 1e-10  # the published score is intersection / (union + 1e-10), so of equal IoU the larger union wins
_THIN = 1e-3  # square pixels; below, rounding can decide between patterns far from the box's edges

_BLOCK = 1 << 18  # scores held at a time: 2 MiB


class PatternGrid:
    """The patterns of a K x K grid on an image: class 0 is "nothing", the rest are its rectangles of cells.

    Grid lines lie at floor(i * size / k).  Classes follow the published order: none first; then by top-left corner row
    by row, each with its bottom-right corners row by row.  `image_size` is (height, width) in pixels.
    Building one is cheap: tables are made on first use.  Equal arguments make equal grids.
    Raises `OptionError` for a k that the image cannot hold, for then a cell would be empty.
    """

    def __init__(self, k: int, image_size: tuple[int, int] = (112, 96)):
        height, width = _image_size(image_size)
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= min(height, width):
            raise OptionError(
                f"k is a whole number from 1 to {min(height, width)}, the image's shorter side, not {k!r}"
            )
        self.k, self.image_size = int(k), (height, width)
        self.rows: IntArray = np.arange(k + 1) * height // k  # (K + 1,) y of the grid lines
        self.columns: IntArray = np.arange(k + 1) * width // k  # (K + 1,) x of the grid lines

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PatternGrid):
            return NotImplemented
        return (self.k, self.image_size) == (other.k, other.image_size)

    def __hash__(self) -> int:
        return hash((self.k, self.image_size))

    def __repr__(self) -> str:
        return f"PatternGrid({self.k}, image_size={self.image_size})"

    @property
    def num_patterns(self) -> int:
        """P: 10, 37, 101, 226, 442, 785 for K = 2 .. 7."""
        return (self.k * (self.k + 1) // 2) ** 2 + 1

    @property
    def counts(self) -> IntArray:
        """(K, K): entry (i - 1, j - 1) is the number of patterns of i x j cells (the paper's Fig. 4)."""
        positions = self.k - np.arange(self.k)
        return positions[:, None] * positions[None, :]

    @cached_property
    def corners(self) -> IntArray:
        """(P, 4) grid lines of each pattern: left, top, right, bottom; zeros for "nothing"."""
        lines = range(self.k + 1)
        listed = [
            (left, top, right, bottom)
            for top, left, bottom, right in product(lines, repeat=4)
            if bottom > top and right > left
        ]
        return _shared(np.array([(0, 0, 0, 0), *listed], np.int64))

    @cached_property
    def boxes(self) -> IntArray:
        """(P, 4) pixel boxes x0 y0 x1 y1, half-open; zeros for "nothing"."""
        left, top, right, bottom = self.corners.T
        return _shared(np.stack([self.columns[left], self.rows[top], self.columns[right], self.rows[bottom]], axis=1))

    def label(self, boxes: ArrayLike) -> IntArray:
        """The pattern that fits each box best: (N, 4) pixel boxes x0 y0 x1 y1 -> (N,) classes.

        The highest intersection / (union + 1e-10) in float64, ties to the lower class, as published.  Boxes are
        half-open and clipped to the image; coordinates need not be whole; an empty box is class 0.
        Raises `ShapeError` for another shape or for NaN.
        """
        box = self._clip(boxes)
        area = _area(box)
        best = np.zeros(len(box), np.int64)
        for index in _blocks(np.flatnonzero(area >= _THIN), 16):
            best[index] = self._label_by_neighbours(box[index])
        for index in _blocks(np.flatnonzero((area > 0) & (area < _THIN)), self.num_patterns):
            best[index] = _scores(box[index][:, None], self.boxes.astype(np.float64)).argmax(1)
        return best

    def label_covered(self, maps: ArrayLike) -> IntArray:
        """The pattern that fits each covered map best, whatever its form: (N, H, W) booleans -> (N,) classes.

        Scored as `label` scores boxes; nothing covered is class 0.  Raises `ShapeError` for another shape or type.
        """
        covered = np.asarray(maps)
        height, width = self.image_size
        if covered.ndim != 3 or covered.shape[1:] != (height, width) or covered.dtype != np.bool_:
            raise ShapeError(
                f"covered maps are booleans of shape (N, {height}, {width}), not {covered.dtype} {covered.shape}"
            )
        # A summed-area table read at the grid lines only: (N, K + 1, K + 1).
        table = np.zeros((len(covered), self.k + 1, self.k + 1), np.int64)
        cells = np.add.reduceat(np.add.reduceat(covered, self.rows[:-1], 1, np.int64), self.columns[:-1], 2)
        table[:, 1:, 1:] = cells.cumsum(1).cumsum(2)
        left, top, right, bottom = self.corners.T
        best = np.zeros(len(covered), np.int64)
        for index in _blocks(np.arange(len(covered)), self.num_patterns):
            t = table[index]
            inside = t[:, bottom, right] - t[:, top, right] - t[:, bottom, left] + t[:, top, left]  # (n, P)
            union = t[:, -1:, -1] + _area(self.boxes) - inside
            best[index] = (inside / (union + _EPS)).argmax(1)
        return best

    def cells(self, label: ArrayLike) -> NDArray[np.bool_]:
        """Which cells each pattern covers: (N,) classes -> (N, K, K) booleans, row 0 at the top of the image.

        Raises `ShapeError` for labels that are not whole numbers of shape (N,), or are no class of this grid.
        """
        index = np.asarray(label)
        if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer):
            raise ShapeError(f"labels are whole numbers of shape (N,), not {index.dtype} {index.shape}")
        if index.size and not (index.min() >= 0 and index.max() < self.num_patterns):
            raise ShapeError(
                f"labels lie in 0 .. {self.num_patterns - 1} at k={self.k}, not {index.min()} .. {index.max()}"
            )
        left, top, right, bottom = (edge[:, None] for edge in self.corners[index].T)
        line = np.arange(self.k)[None]
        rows: NDArray[np.bool_] = (line >= top) & (line < bottom)  # (N, K)
        columns: NDArray[np.bool_] = (line >= left) & (line < right)  # (N, K)
        return rows[:, :, None] & columns[:, None, :]

    def label_cells(self, cells: ArrayLike) -> IntArray:
        """The inverse of `cells`: (N, K, K) booleans -> (N,). Raises `ShapeError` for cells that form no rectangle."""
        covered = np.asarray(cells)
        if covered.ndim != 3 or covered.shape[1:] != (self.k, self.k) or covered.dtype != np.bool_:
            raise ShapeError(
                f"cells are booleans of shape (N, {self.k}, {self.k}), not {covered.dtype} {covered.shape}"
            )
        rows: NDArray[np.bool_] = np.logical_or.reduce(covered, axis=2)
        columns: NDArray[np.bool_] = np.logical_or.reduce(covered, axis=1)
        top, left = rows.argmax(1), columns.argmax(1)
        bottom, right = self.k - rows[:, ::-1].argmax(1), self.k - columns[:, ::-1].argmax(1)
        some = rows.any(1)
        label = np.where(some, self._class_of[top, left, bottom, right], 0)
        wrong = np.flatnonzero((self.cells(label) != covered).any((1, 2)))
        if len(wrong):
            raise ShapeError(f"the covered cells of entry {wrong[0]} form no rectangle; label_covered takes any shape")
        return label

    def iou_table(self) -> FloatArray:
        """(P, P) IoU of every two patterns; "nothing" has 1 with itself and 0 with every other."""
        boxes = self.boxes.astype(np.float64)
        overlap = _overlap(boxes[:, None], boxes[None])
        area = _area(boxes)
        union = area[:, None] + area[None] - overlap
        union[0, 0] = overlap[0, 0] = 1.0
        table: FloatArray = overlap / union
        return table

    @cached_property
    def _class_of(self) -> IntArray:
        """(K + 1,) * 4, by grid lines top, left, bottom, right; -1 where they enclose nothing."""
        table = np.full((self.k + 1,) * 4, -1, np.int64)
        left, top, right, bottom = self.corners[1:].T
        table[top, left, bottom, right] = np.arange(1, self.num_patterns)
        return table

    def _label_by_neighbours(self, box: FloatArray) -> IntArray:
        """The best of 16 candidates a box: the two grid lines beside each of its edges, or the one on it.

        No other line can win.  Let t be the best score, |P| a pattern's area, A the box's plus epsilon.  The best
        pattern maximises g = (1 + t) * intersection - t * |P|, and there g = t * A > 0.  Move its left edge: outside
        the box, g falls with every step outward.  Inside, g is linear and reaches g <= 0 where the pattern leaves the
        box or vanishes, so it falls with every step inward.  Hence the edge is a line beside the box's; so are the
        others.  A line further off costs at least the share A / (side * union) of the score, which is far above
        rounding unless the box is thin.
        """
        beside = [  # (N, 2) line indices for left, top, right, bottom
            np.stack([np.searchsorted(lines, edge, "right") - 1, np.searchsorted(lines, edge, "left")], axis=1)
            for lines, edge in zip((self.columns, self.rows) * 2, box.T, strict=True)
        ]
        choice = np.array(list(product((0, 1), repeat=4)))  # (16, 4)
        left, top, right, bottom = (lines[:, pick] for lines, pick in zip(beside, choice.T, strict=True))  # (N, 16)
        candidate = self._class_of[top, left, bottom, right]
        score = _scores(box[:, None], self.boxes[candidate].astype(np.float64))
        score[candidate < 0] = -1.0
        winners = np.where(score == score.max(1, keepdims=True), candidate, self.num_patterns)
        lowest: IntArray = winners.min(1)
        return lowest

    def _clip(self, boxes: ArrayLike) -> FloatArray:
        given = np.asarray(boxes)
        if given.ndim != 2 or given.shape[1] != 4 or given.dtype.kind not in "iuf":
            raise ShapeError(
                f"boxes are numbers of shape (N, 4), x0 y0 x1 y1 in pixels, not {given.dtype} {given.shape}"
            )
        box: FloatArray = given.astype(np.float64)
        if np.isnan(box).any():
            raise ShapeError(
                f"box {np.isnan(box).any(1).argmax()} holds NaN; corners are numbers in pixels, 0 0 0 0 where nothing "
                "is covered"
            )
        height, width = self.image_size
        return np.clip(box, 0, [width, height, width, height])


def _blocks(index: IntArray, width: int) -> Iterator[IntArray]:
    """Rows of `width` scores, as many at a time as keep the work in the cache."""
    step = max(1, _BLOCK // width)
    for start in range(0, len(index), step):
        yield index[start : start + step]


def _shared(table: IntArray) -> IntArray:
    """Read-only: everyone who holds the grid sees the same table."""
    table.setflags(write=False)
    return table


def _image_size(value: object) -> tuple[int, int]:
    try:
        height, width = (operator.index(side) for side in value)  # type: ignore[attr-defined]
        if min(height, width) >= 1:
            return height, width
    except (TypeError, ValueError):
        pass
    raise OptionError(f"image_size is (height, width) in whole pixels, such as (112, 96), not {value!r}")


def _area(box: NDArray[Any]) -> NDArray[Any]:
    """Zero for a box whose corners are out of order."""
    area: NDArray[Any] = np.maximum(box[..., 2] - box[..., 0], 0) * np.maximum(box[..., 3] - box[..., 1], 0)
    return area


def _overlap(a: FloatArray, b: FloatArray) -> FloatArray:
    across = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    down = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    overlap: FloatArray = np.maximum(across, 0) * np.maximum(down, 0)
    return overlap


def _scores(box: FloatArray, patterns: FloatArray) -> FloatArray:
    overlap = _overlap(box, patterns)
    scores: FloatArray = overlap / (_area(box) + _area(patterns) - overlap + _EPS)
    return scores
