"""Where each probe's own person comes in a gallery of any size, without the score matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..errors import OptionError, ShapeError
from .checks import check_whole, labels_of
from .metrics import FloatArray, IntArray
from .outcomes import Curve
from .tiles import BLOCK, Scorer, check_block, full_precision, products, rows_to_score


class ProbeRanks(NamedTuple):
    """How P probes fare against a gallery; a person's score is that of their best picture."""

    rank: IntArray  # (P,) 1 = found first, ties counting against the probe; 0 = the gallery does not have the person
    own: FloatArray  # (P,) score of the probe's own person; -inf where the gallery does not have them
    other: FloatArray  # (P,) highest score of anybody else; -inf where there is nobody else


def rank_probes(
    gallery: ArrayLike,
    gallery_label: ArrayLike,
    probe: ArrayLike,
    probe_label: ArrayLike,
    *,
    block: int = BLOCK,
    device: torch.device | str = "cpu",
    score: Scorer | None = None,
) -> ProbeRanks:
    """Ranks of probe (P, D), probe_label (P,) in gallery (G, D), gallery_label (G,) by cosine similarity in float32.

    The ranks of `metrics.identity_ranks`, but a probe may show a person whom the gallery does not have.  Memory: the
    embeddings and three tiles of block x block; a tile holds whole people.  With `score` the rows are whatever it
    compares.  Raises `ShapeError`, `ProtocolError` (NaN).
    """
    check_block(block)
    known, new = rows_to_score("gallery", gallery, score), rows_to_score("probe", probe, score)
    if known.shape[1] != new.shape[1]:
        raise ShapeError(
            f"gallery embeddings have {known.shape[1]} numbers and probe embeddings {new.shape[1]}; "
            "both must come from one model"
        )
    enrolled = _Gallery(known, labels_of("gallery", gallery_label, len(known)), block, device, score)
    mine = enrolled.person_of(labels_of("probe", probe_label, len(new)))
    order = np.argsort(mine, kind="stable")  # probes of one person together: their own tiles are few
    found = ProbeRanks(np.zeros(len(new), np.int64), np.empty(len(new)), np.empty(len(new)))
    with full_precision(), torch.inference_mode():
        for start in range(0, len(new), block):
            chosen = order[start : start + block]
            rows = enrolled.ranked(torch.from_numpy(new[chosen]).to(device), mine[chosen])
            for whole, part in zip(found, rows, strict=True):
                whole[chosen] = part
    return found


def cmc_curve(rank: IntArray, *, num_people: int, points: int = 200) -> Curve:
    """Cumulative match characteristic of ranks (P,), at every rank up to 100 and at most `points` of the others."""
    wanted = np.arange(1, num_people + 1)
    if num_people > 100 + points:
        wanted = np.unique(
            np.concatenate([np.arange(1, 101), np.geomspace(101, num_people, points).round().astype(np.int64)])
        )
    return Curve(wanted.astype(np.float64), np.searchsorted(np.sort(rank), wanted, side="right") / len(rank))


def check_ranks(ranks: Sequence[int]) -> tuple[int, ...]:
    """The k of rank-k rates, at least one and none below 1, or `OptionError`."""
    if isinstance(ranks, str) or not isinstance(ranks, Sequence) or not ranks:
        raise OptionError(f"ranks are {ranks!r}; give at least one whole number from 1 on, such as (1, 5)")
    return tuple(check_whole("one of the ranks", k, least=1, usual=5) for k in ranks)


class _Tile(NamedTuple):
    pictures: Tensor  # (n, D)
    person: Tensor  # (n,) counted from the tile's first person
    first: int  # its people, first <= person < last
    last: int


class _Gallery:
    """The gallery in tiles that hold whole people, so that a person's best picture is found within one tile."""

    def __init__(
        self,
        rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
        label: IntArray,
        block: int,
        device: torch.device | str,
        score: Scorer | None,
    ):
        self.score = products if score is None else score
        order = np.argsort(label, kind="stable")
        self.people, first, count = np.unique(label[order], return_index=True, return_counts=True)
        ends = first + count
        self.tiles: list[_Tile] = []
        begin = 0
        while begin < len(self.people):
            end = max(int(np.searchsorted(ends, first[begin] + block, side="right")), begin + 1)
            pictures = torch.from_numpy(rows[order[first[begin] : ends[end - 1]]]).to(device)
            person = torch.from_numpy(np.repeat(np.arange(end - begin), count[begin:end])).to(device)
            self.tiles.append(_Tile(pictures, person, begin, end))
            begin = end

    def person_of(self, label: IntArray) -> IntArray:
        """(P,) -> (P,): index of the person, -1 where the gallery does not have them."""
        place = np.searchsorted(self.people, label).clip(0, len(self.people) - 1)
        return np.where(self.people[place] == label, place, -1)

    def ranked(self, probe: Tensor, mine: IntArray) -> ProbeRanks:
        """Ranks of some probes (n, D) whose people are `mine` (n,).

        The own scores come from the very tiles that the others are counted in: a score is equal to itself.
        """
        own = torch.full((len(probe),), -torch.inf, device=probe.device)
        other, ahead = own.clone(), torch.zeros(len(probe), dtype=torch.int64, device=probe.device)
        for tile in self.tiles:
            row, column = _within(tile, mine, probe.device)
            if len(row):
                own[row] = self._best(probe, tile)[row, column]
        for tile in self.tiles:
            best = self._best(probe, tile)
            row, column = _within(tile, mine, probe.device)
            best[row, column] = -torch.inf
            other = torch.maximum(other, best.amax(dim=1))
            ahead += (best >= own[:, None]).sum(dim=1)
        rank = np.where(mine >= 0, ahead.cpu().numpy() + 1, 0)
        return ProbeRanks(
            rank, own.cpu().double().numpy(), other.cpu().double().numpy()
        )  # not every device has float64

    def _best(self, probe: Tensor, tile: _Tile) -> Tensor:
        """(n, people of the tile): the score of each person's best picture."""
        score = self.score(probe, tile.pictures)
        num_people = tile.last - tile.first
        if num_people == score.shape[1]:
            return score
        best = torch.full((len(probe), num_people), -torch.inf, device=probe.device, dtype=score.dtype)
        return best.scatter_reduce_(1, tile.person.expand(len(probe), -1), score, "amax")


def _within(tile: _Tile, mine: IntArray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which probes' own person is in the tile, and where."""
    row = np.flatnonzero((mine >= tile.first) & (mine < tile.last))
    return torch.from_numpy(row).to(device), torch.from_numpy(mine[row] - tile.first).to(device)
