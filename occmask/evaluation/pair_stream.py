"""One pass over the tiles of all pairs: what verification has to keep of each."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .histograms import ScoreHistogram
from .metrics import IntArray
from .pair_space import PairSpace
from .tail import Tail
from .tiles import Scorer, Tile, score_tiles

_NO_PAIR = -math.inf  # marks places of a tile that hold no impostor pair: below every score and `tail.LOWEST`


class PairStream:
    """One pass over all tiles: genuine scores, the tail of the impostor scores, and both histograms."""

    def __init__(self, space: PairSpace, keep: int, max_tail: int):
        self.space = space
        self.tail = Tail(keep, limit=2 * max_tail)  # float32 scores of many pairs tie by chance
        self.genuine_score = np.empty(len(space.genuine.left), np.float32)
        self.impostors = ScoreHistogram()

    def run(self, left: Tensor, right: Tensor, block: int, score: Scorer) -> None:
        across = -(-len(right) // block)
        genuine = _ByTile(*self.space.genuine, block=block, across=across)
        out = [_ByTile(*p, block=block, across=across) for p in self._left_out()]
        for tile in score_tiles(left, right, block=block, symmetric=self.space.symmetric, score=score):
            blanks = 0
            chosen, row, column = genuine.of(tile)
            if len(chosen):
                self.genuine_score[chosen] = tile.score[row, column].cpu().numpy()
                tile.score[row, column] = _NO_PAIR
                blanks += len(chosen)
            for pairs in out:
                chosen, row, column = pairs.of(tile)
                tile.score[row, column] = _NO_PAIR
                blanks += len(chosen)
            if self.space.symmetric and tile.top == tile.start:
                blanks += _blank_lower_triangle(tile.score)
            self.impostors.add(tile.score, blanks=blanks)
            self.tail.add(tile)

    def _left_out(self) -> list[tuple[IntArray, IntArray]]:
        found = [self.space.excluded_genuine, self.space.excluded_impostors]
        return [pairs for pairs in found if len(pairs.left)]


def _blank_lower_triangle(score: Tensor) -> int:
    """Mark the diagonal of a square tile and what lies below it; how many places that is."""
    score.masked_fill_(torch.ones_like(score, dtype=torch.bool).tril_(), _NO_PAIR)
    return len(score) * (len(score) + 1) // 2


class _ByTile:
    """Chosen pairs, sorted so that those of one tile lie together."""

    def __init__(self, left: IntArray, right: IntArray, *, block: int, across: int):
        self.left, self.right, self.block, self.across = left, right, block, across
        tile_of = left // block * across + right // block
        self.order = np.argsort(tile_of, kind="stable")
        self.tile_of = tile_of[self.order]

    def of(self, tile: Tile) -> tuple[IntArray, Tensor, Tensor]:
        """Which pairs lie in the tile, and their rows and columns in it."""
        number = tile.top // self.block * self.across + tile.start // self.block
        first, last = np.searchsorted(self.tile_of, [number, number + 1])
        chosen = self.order[first:last]
        row, column = self.left[chosen] - tile.top, self.right[chosen] - tile.start
        return chosen, torch.from_numpy(row).to(tile.score.device), torch.from_numpy(column).to(tile.score.device)
