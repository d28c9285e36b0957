"""The index that is none: every row is looked at, in blocks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import OptionError
from ..matching.search import RunningTop
from . import Hits, UnitRows, UnitSource

_TOGETHER = 16_384  # rows that are compared at once


class ExactIndex:
    """The pictures of the highest cosine, found by comparing with all of them.

    `memory`: bytes; up to that many of units are kept (float16: a million of 128 numbers are 256 MB), and of a larger
    gallery they are read from the file at every search.
    """

    def __init__(self, source: UnitSource, *, memory: int = 256_000_000):
        if isinstance(memory, bool) or not isinstance(memory, int) or memory < 0:
            raise OptionError(f"gallery index 'exact': memory is a number of bytes, 0 or more, not {memory!r}")
        self._source, self._memory = source, memory
        self._kept: list[UnitRows] | None = None  # None: not read yet, or too many

    def add(self, rows: UnitRows) -> None:
        if self._kept is None:
            return
        if self._kept and len(self._kept[-1].ids) + len(rows.ids) <= _TOGETHER:
            last = self._kept.pop()
            rows = UnitRows(np.concatenate([last.ids, rows.ids]), np.concatenate([last.rows, rows.rows]))
        self._kept.append(rows)
        if self._bytes(sum(len(block.ids) for block in self._kept)) > self._memory:
            self._kept = None

    def remove(self, ids: NDArray[np.int64]) -> None:
        if self._kept is not None:
            stays = [~np.isin(block.ids, ids) for block in self._kept]
            self._kept = [UnitRows(b.ids[keep], b.rows[keep]) for b, keep in zip(self._kept, stays, strict=True)]

    def search(self, queries: NDArray[np.float32], *, top: int) -> Hits:
        if self._kept is None and self._bytes(len(self._source)) <= self._memory:
            self._kept = list(self._source.blocks())
        looked_for = torch.from_numpy(np.ascontiguousarray(queries, np.float32))
        best = RunningTop(len(queries), top, like=looked_for)
        seen: list[NDArray[np.int64]] = []
        count = 0
        for ids, rows in self._source.blocks() if self._kept is None else self._kept:
            best.add(looked_for @ torch.from_numpy(rows).float().T, count)
            seen.append(ids)
            count += len(ids)
        found = best.found()
        known = np.concatenate([*seen, np.array([-1], np.int64)])  # the last stands for rows that are not there
        return Hits(known[found.rows.numpy()], found.scores.numpy())

    def _bytes(self, rows: int) -> int:
        return rows * self._source.width * np.dtype(np.float16).itemsize
