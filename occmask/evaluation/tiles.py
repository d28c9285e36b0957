"""Scores of all pairs of two sets of embeddings, one tile of the score matrix at a time: it is never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..errors import ProtocolError, ShapeError
from .checks import check_whole, unit_rows
from .metrics import FloatArray, IntArray

BLOCK = 2048  # a tile of 2048 x 2048 float32 is 16 MiB
_CHECKED_ROWS = 16384  # rows that are float64 at one time


class Scorer(Protocol):
    """Scores of every row of a (h, N) with every row of b (w, N), on their device: (h, w), a tensor of its own."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor: ...


def products(a: Tensor, b: Tensor) -> Tensor:
    """Dot products, the cosine similarity of rows of length 1."""
    return a @ b.T


class Tile(NamedTuple):
    """A rectangle of the score matrix."""

    top: int  # its first row
    start: int  # its first column
    score: Tensor  # (h, w) float32


def single_unit_rows(name: str, embeddings: ArrayLike) -> NDArray[np.float32]:
    """Embeddings (N, D) as float32 rows of length 1, without a float64 copy of them all; errors as `unit_rows`."""
    rows = np.asarray(embeddings)
    if rows.ndim != 2 or len(rows) <= _CHECKED_ROWS:
        return unit_rows(name, rows).astype(np.float32)
    unit = np.empty(rows.shape, np.float32)
    for first in range(0, len(rows), _CHECKED_ROWS):
        try:
            unit[first : first + _CHECKED_ROWS] = unit_rows(name, rows[first : first + _CHECKED_ROWS])
        except ProtocolError:
            unit_rows(name, rows)  # once more from the first row, for the error tells a row's number
            raise
    return unit


def rows_to_score(name: str, rows: ArrayLike, score: Scorer | None) -> NDArray[np.float32]:
    """What `score` compares, as float32: embeddings at length 1 for None, and else rows as they are.

    Raises as `unit_rows`; rows for a scorer of one's own need only be numbers (N, W).
    """
    if score is None:
        return single_unit_rows(name, rows)
    found = np.asarray(rows)
    if found.ndim != 2 or found.dtype.kind not in "fiu":
        raise ShapeError(f"{name} rows are {found.shape} of {found.dtype}; they must be numbers of shape (N, W)")
    if not found.size:
        raise ProtocolError(f"there are no {name} rows; at least two people's are needed")
    return found.astype(np.float32, copy=False)


@contextmanager
def full_precision() -> Iterator[None]:
    """float32 products in float32 whatever the process chose: TF32 would move thresholds by 1e-3, autocast more."""
    # Not torch.set_float32_matmul_precision: it raises where the process has used the settings of single backends.
    settings: list[Any] = [torch.backends.cuda.matmul, torch.backends.mkldnn.matmul]  # type: ignore[attr-defined]
    chosen = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        for setting, value in zip(settings, chosen, strict=True):
            setting.fp32_precision = value


def check_block(block: int) -> None:
    """A block is the side of a tile in pictures, or `OptionError`."""
    check_whole("block", block, least=1, usual=BLOCK)


def score_tiles(
    left: Tensor, right: Tensor, *, block: int, symmetric: bool = False, score: Scorer = products
) -> Iterator[Tile]:
    """The tiles of the scores of left (A, D) with right (B, D), row by row; of a symmetric matrix those on and above
    the diagonal.

    A tile has the same shape at every call, so its scores are the same to the last bit on one device.
    """
    for top in range(0, len(left), block):
        rows = left[top : top + block]
        for start in range(top if symmetric else 0, len(right), block):
            yield Tile(top, start, score(rows, right[start : start + block]))


def scores_at(
    left: Tensor, right: Tensor, row: IntArray, column: IntArray, *, block: int, score: Scorer = products
) -> FloatArray:
    """Scores of chosen pairs, (n,) each an index of left and of right, from the tiles that hold them."""
    across = -(-len(right) // block)
    tile_of = row // block * across + column // block
    order = np.argsort(tile_of, kind="stable")
    bounds = np.flatnonzero(np.diff(tile_of[order], prepend=-1, append=-1))
    found = np.empty(len(row))
    for first, last in pairwise(bounds):
        chosen = order[first:last]
        top, start = (int(index) * block for index in divmod(int(tile_of[chosen[0]]), across))
        tile = score(left[top : top + block], right[start : start + block])
        found[chosen] = tile[torch.from_numpy(row[chosen] - top), torch.from_numpy(column[chosen] - start)].cpu()
    return found


class HighestScores:
    """The `count` highest scores of every row of left (A, D) among rows that come one part after the other."""

    def __init__(self, left: Tensor, *, count: int, block: int, score: Scorer = products):
        self._left, self._block, self._score, self._seen = left, block, score, 0
        self._highest = torch.full((len(left), count), -torch.inf, device=left.device)
        self._first = torch.zeros(len(left), dtype=torch.int64, device=left.device)

    def add(self, right: Tensor) -> None:
        """The next rows (B, D), a multiple of `block` of them in every part but the last."""
        count = self._highest.shape[1]
        for tile in score_tiles(self._left, right, block=self._block, score=self._score):
            rows = slice(tile.top, tile.top + len(tile.score))
            best = tile.score.topk(min(count, tile.score.shape[1]), dim=1)
            ahead = best.values[:, 0] > self._highest[rows, 0]
            place = best.indices[:, 0] + (self._seen + tile.start)
            self._first[rows] = torch.where(ahead, place, self._first[rows])
            self._highest[rows] = torch.cat([self._highest[rows], best.values], dim=1).topk(count, dim=1).values
        self._seen += len(right)

    @property
    def scores(self) -> FloatArray:
        """(A, count) best first, -inf where there were fewer rows."""
        return self._highest.cpu().double().numpy()  # MPS has no float64

    @property
    def first(self) -> IntArray:
        """(A,) which of the rows scored highest."""
        return self._first.cpu().numpy()


def highest_scores(left: Tensor, right: Tensor, *, count: int, block: int) -> FloatArray:
    """The `count` highest scores of every row of left, best first: (A, count), -inf where right has fewer rows."""
    highest = HighestScores(left, count=count, block=block)
    highest.add(right)
    return highest.scores
