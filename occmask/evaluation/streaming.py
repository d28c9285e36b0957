"""Verification of all pairs without holding the pairs: exact at the false accept rates asked for, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..errors import ProtocolError, ShapeError
from .bootstrap import Bootstrap, Draws
from .far import check_resolvable
from .figure_names import at_far
from .histograms import ScoreHistogram, Within
from .metrics import Estimate, FloatArray, IntArray, PairScores, check_far
from .outcomes import Curve
from .pair_space import PairSpace
from .pair_stream import PairStream
from .tiles import BLOCK, Scorer, check_block, full_precision, products, rows_to_score

MAX_TAIL = 2**22  # impostor pairs held at once: about 400 MB
_ALL_PAIRS = 2**20  # with no more impostor pairs than this, all of them are held
_SPARE = 1000  # impostor pairs held beyond twice what the largest FAR accepts


class ScoredIndices(NamedTuple):
    """Pairs by index, with what they score."""

    left: IntArray  # (n,)
    right: IntArray
    score: FloatArray


class StreamedVerification(NamedTuple):
    """What verification of all pairs measured.

    `estimates`: "tar@1e-4" for every FAR, and "auc" and "eer" when every pair was held; `draws`: the same figures of
    every bootstrap draw.  `auc_within` and `eer_within` are there at any size, with the largest error that reading them
    from a histogram can make.
    """

    estimates: dict[str, Estimate]
    draws: dict[str, FloatArray]
    threshold: dict[float, float]  # by FAR: a pair is accepted when it scores strictly above
    auc_within: Within
    eer_within: Within
    roc: Curve  # FAR and TAR; every point lies on the exact ROC
    genuine_histogram: Curve  # centres of the bins, shares of the pairs
    impostor_histogram: Curve
    lowest_genuine: ScoredIndices
    highest_impostor: ScoredIndices
    num_genuine: int
    num_impostor: int
    num_held: int  # impostor pairs whose scores were held one by one
    notes: tuple[str, ...]


class _TailTooShortError(Exception):
    """A resample accepts more impostor pairs than are held."""


def stream_verification(
    left: ArrayLike,
    left_label: ArrayLike,
    right: ArrayLike | None = None,
    right_label: ArrayLike | None = None,
    *,
    fars: Sequence[float] = (1e-4,),
    bootstrap: Bootstrap | None = None,
    excluded: ArrayLike | None = None,
    block: int = BLOCK,
    device: torch.device | str = "cpu",
    max_tail: int = MAX_TAIL,
    num_worst: int = 10,
    score: Scorer | None = None,
) -> StreamedVerification:
    """Verification of left (A, D) against right (B, D), or of left against itself, by cosine similarity in float32.

    left_label (A,), right_label (B,): whose picture it is.  Without `right` each pair of left pictures counts once.
    `excluded` (2, n): pairs of indices to leave out, such as two versions of one photograph.  TAR and threshold are
    those of `metrics.tar_at_far` on all scores; intervals resample people and weigh pairs as `Verification` does.
    Memory: the float32 embeddings, four tiles of block x block, 24 bytes a genuine pair, and the impostor pairs that
    the FARs and the resamples need: at most `max_tail`, and as many that tie with the last of them.  With `score` the
    rows are whatever it compares; AUC and EER read from a histogram are rougher the more scores lie outside -1..1.

    Raises `ShapeError`, or `ProtocolError` for NaN, one person only, no genuine or no impostor pair, a FAR at which
    fewer than 10 impostors would pass, or one that would need more than `max_tail` pairs.
    """
    check_block(block)
    for far in fars:
        check_far(far)
    if (right is None) != (right_label is None):
        raise ProtocolError("right and right_label belong together; give both, or neither to compare left with itself")
    a = rows_to_score("left", left, score)
    b = a if right is None else rows_to_score("right", right, score)
    if a.shape[1] != b.shape[1]:
        raise ShapeError(
            f"left embeddings have {a.shape[1]} numbers and right ones {b.shape[1]}; both must come from one model"
        )
    space = PairSpace(left_label, right_label, excluded)
    if (len(a), len(b)) != (len(space.left), len(space.right)):
        raise ProtocolError(
            f"there are {len(a)} and {len(b)} embeddings, but {len(space.left)} and {len(space.right)} labels; "
            "give one label a picture"
        )
    check_resolvable_pairs(space, fars)
    keep = _first_tail(space, fars, max_tail, num_worst)
    notes: list[str] = []
    rows, columns = torch.from_numpy(a).to(device), torch.from_numpy(b).to(device)
    measure = bootstrap if bootstrap is not None else Bootstrap()
    while True:
        stream = PairStream(space, keep, max_tail)
        with full_precision(), torch.inference_mode():
            stream.run(rows, columns, block, products if score is None else score)
        held = _HeldPairs(space, stream, fars)
        try:
            draws = measure.draw(held.figures, num_people=space.num_people)
        except _TailTooShortError:
            if keep >= min(max_tail, space.num_impostor):
                raise ProtocolError(_too_many(max(fars), space.num_impostor, keep + 1, max_tail)) from None
            keep = min(2 * keep, max_tail, space.num_impostor)
            notes.append(f"a resample accepted more impostor pairs than were held; {keep} were held instead")
            continue
        return held.result(draws, measure, num_worst, tuple(notes))


def check_resolvable_pairs(space: PairSpace, fars: Sequence[float]) -> None:
    """`ProtocolError` without a genuine or an impostor pair, and for a FAR that gives fewer than 10 false accepts."""
    if not len(space.genuine.left):
        raise ProtocolError("no pair shows the same person twice; give some person a picture on either side")
    if not space.num_impostor:
        raise ProtocolError("no pair shows two different people; leave some such pairs in")
    check_resolvable(fars, space.num_impostor)


def _first_tail(space: PairSpace, fars: Sequence[float], max_tail: int, num_worst: int) -> int:
    """How many impostor pairs to hold at first: all of few, otherwise twice what the largest FAR accepts."""
    if space.num_impostor <= min(_ALL_PAIRS, max_tail):
        return space.num_impostor
    accepted = math.floor(max(fars, default=0.0) * space.num_impostor * (1 + 1e-12)) + 1
    if accepted > max_tail:
        raise ProtocolError(_too_many(max(fars), space.num_impostor, accepted, max_tail))
    return min(max(2 * accepted + _SPARE, num_worst), space.num_impostor, max_tail)


def _too_many(far: float, num_impostor: int, needed: int, max_tail: int) -> str:
    return (
        f"FAR {far:g} of {num_impostor} impostor pairs needs at least {needed} of them held, and max_tail is "
        f"{max_tail}: ask for a smaller FAR (the curve has the larger ones), or raise max_tail (about 100 bytes a pair)"
    )


class _HeldPairs:
    """Figures from the genuine scores, the tail, and one stand-in below it that weighs what all the others do."""

    def __init__(self, space: PairSpace, stream: PairStream, fars: Sequence[float]):
        self.space, self.fars = space, tuple(fars)
        self.left, self.right, self.score = stream.tail.sorted()
        self.complete = len(self.score) == space.num_impostor
        self.genuine_score, self.histogram = stream.genuine_score, stream.impostors
        others: NDArray[np.float32] = np.full(0 if self.complete else 1, -np.inf, np.float32)
        self.pairs = PairScores(stream.genuine_score, np.concatenate([self.score, others]))
        self.owner = space.left[space.genuine.left][self.pairs.genuine_order]
        self.first, self.second = space.left[self.left], space.right[self.right]

    def figures(self, drawn: FloatArray) -> tuple[float, ...] | None:
        genuine = drawn[self.owner]
        impostor = drawn[self.first] * drawn[self.second]
        total, held = self.space.impostor_weight(drawn), float(impostor.sum())
        if not genuine.any() or not total:
            return None
        if not self.complete:
            if self.fars and held <= math.floor(max(self.fars) * total * (1 + 1e-12)):
                raise _TailTooShortError
            impostor = np.append(impostor, total - held)
        weighed = self.pairs.weigh(genuine, impostor)
        tars = tuple(weighed.tar_at_far(far) for far in self.fars)
        return (weighed.auc(), weighed.eer(), *tars) if self.complete else tars

    def result(
        self, draws: Draws, bootstrap: Bootstrap, num_worst: int, notes: tuple[str, ...]
    ) -> StreamedVerification:
        names = [*(("auc", "eer") if self.complete else ()), *(at_far("tar", far) for far in self.fars)]
        genuine = ScoreHistogram()
        genuine.add(torch.from_numpy(self.genuine_score))
        num_impostor = self.space.num_impostor
        accepted = [math.floor(far * num_impostor * (1 + 1e-12)) for far in self.fars]
        listed = self.space.genuine
        lowest = np.argsort(self.genuine_score, kind="stable")[:num_worst]
        top = slice(num_worst)
        return StreamedVerification(
            estimates=dict(zip(names, bootstrap.intervals(draws), strict=True)) if names else {},
            draws=dict(zip(names, draws.drawn.T, strict=True)),
            threshold={f: float(self.score[a]) for f, a in zip(self.fars, accepted, strict=True)},
            auc_within=genuine.auc(self.histogram),
            eer_within=genuine.eer(self.histogram),
            roc=genuine.roc(self.histogram, self.genuine_score, self.score),
            genuine_histogram=genuine.shares(),
            impostor_histogram=self.histogram.shares(),
            lowest_genuine=ScoredIndices(
                listed.left[lowest], listed.right[lowest], self.genuine_score[lowest].astype(np.float64)
            ),
            highest_impostor=ScoredIndices(
                self.left[top].astype(np.int64), self.right[top].astype(np.int64), self.score[top].astype(np.float64)
            ),
            num_genuine=len(listed.left),
            num_impostor=num_impostor,
            num_held=len(self.score),
            notes=notes,
        )
