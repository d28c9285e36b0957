"""The highest scores of a long stream, exactly, in memory for a few times as many."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ProtocolError
from .tiles import Tile

LOWEST = float(np.finfo(np.float32).min)  # below every score, above what marks a place without a pair


class Tail:
    """At least the `keep` highest scores of all tiles it is shown, and every score tied with the last of them.

    A score enters when it reaches the `keep`-th highest so far, which can only rise: nothing that belongs is lost.
    Raises `ProtocolError` when more than `limit` scores would have to be held, for so many are equal.
    """

    def __init__(self, keep: int, *, limit: int):
        self.keep, self.limit = keep, limit
        self._cut = LOWEST
        self._left: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        self._right: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        self._score: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
        self._held = 0

    def add(self, tile: Tile) -> None:
        """Take what belongs to the tail out of one tile; scores below `LOWEST` are no pairs."""
        row, column = self._above(tile.score)
        if not len(row):
            return
        self._left.append((row + tile.top).to(torch.int32).cpu().numpy())
        self._right.append((column + tile.start).to(torch.int32).cpu().numpy())
        self._score.append(tile.score[row, column].cpu().numpy())
        self._held += len(row)
        if self._held > 2 * self.keep:
            self._prune()

    def sorted(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Left index, right index and score, (n,) each, best first."""
        self._prune()
        order = np.argsort(-self._score[0], kind="stable")
        return self._left[0][order], self._right[0][order], self._score[0][order]

    def _above(self, score: Tensor) -> tuple[Tensor, Tensor]:
        row, column = torch.nonzero(score >= self._cut, as_tuple=True)
        if len(row) > 2 * self.keep:  # the first tiles: what is beyond this tile's own highest is beyond all tiles'
            self._cut = max(self._cut, float(score.flatten().topk(self.keep).values[-1]))
            row, column = torch.nonzero(score >= self._cut, as_tuple=True)
        return row, column

    def _prune(self) -> None:
        left, right, score = np.concatenate(self._left), np.concatenate(self._right), np.concatenate(self._score)
        if len(score) > self.keep:
            self._cut = max(self._cut, float(np.partition(score, len(score) - self.keep)[len(score) - self.keep]))
            kept = score >= self._cut
            left, right, score = left[kept], right[kept], score[kept]
        if len(score) > self.limit:
            raise ProtocolError(
                f"more than {self.limit} impostor pairs score {self._cut:.6g} or higher, most of them exactly that: "
                "the embeddings are nearly all the same, and an interval would have to hold these pairs one by one; "
                "look at the model, or raise max_tail (about 100 bytes a pair)"
            )
        self._left, self._right, self._score, self._held = [left], [right], [score], len(score)
