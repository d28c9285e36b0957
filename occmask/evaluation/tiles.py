"""Scores of all pairs of two sets of embeddings, one tile of the score matrix at a time: it is never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..errors import ProtocolError
from .checks import check_whole, unit_rows
from .metrics import FloatArray, IntArray

BLOCK = 2048  # a tile of 2048 x 2048 float32 is 16 MiB
_CHECKED_ROWS = 16384  # rows that are float64 at one time


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


def score_tiles(left: Tensor, right: Tensor, *, block: int, symmetric: bool = False) -> Iterator[Tile]:
    """The tiles of left (A, D) @ right (B, D).T, row by row; of a symmetric matrix those on and above the diagonal.

    A tile has the same shape at every call, so its scores are the same to the last bit on one device.
    """
    for top in range(0, len(left), block):
        rows = left[top : top + block]
        for start in range(top if symmetric else 0, len(right), block):
            yield Tile(top, start, rows @ right[start : start + block].T)


def scores_at(left: Tensor, right: Tensor, row: IntArray, column: IntArray, *, block: int) -> FloatArray:
    """Scores of chosen pairs, (n,) each an index of left and of right, from the tiles that hold them."""
    across = -(-len(right) // block)
    tile_of = row // block * across + column // block
    order = np.argsort(tile_of, kind="stable")
    bounds = np.flatnonzero(np.diff(tile_of[order], prepend=-1, append=-1))
    found = np.empty(len(row))
    for first, last in pairwise(bounds):
        chosen = order[first:last]
        top, start = (int(index) * block for index in divmod(int(tile_of[chosen[0]]), across))
        score = left[top : top + block] @ right[start : start + block].T
        found[chosen] = score[torch.from_numpy(row[chosen] - top), torch.from_numpy(column[chosen] - start)].cpu()
    return found


def highest_scores(left: Tensor, right: Tensor, *, count: int, block: int) -> FloatArray:
    """The `count` highest scores of every row of left, best first: (A, count), -inf where right has fewer rows."""
    highest = torch.full((len(left), count), -torch.inf, device=left.device)
    for tile in score_tiles(left, right, block=block):
        rows = slice(tile.top, tile.top + len(tile.score))
        best = tile.score.topk(min(count, tile.score.shape[1]), dim=1).values
        highest[rows] = torch.cat([highest[rows], best], dim=1).topk(count, dim=1).values
    return highest.cpu().double().numpy()  # MPS has no float64
