"""Search: every query's nearest among many, by a first pass over embeddings and a second look at the best of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import OptionError
from ..shapes import Template
from ..spec import Spec
from . import MATCHERS, Matcher, Prepared
from .checks import check_alike

CANDIDATES = 50  # of a query's first pass, that are looked at again
QUERIES_AT_ONCE = 1024
BLOCK = 8192  # faces of the gallery that are compared at once; with 1024 queries 32 MiB of scores
_CHUNK = 64  # scores of which only the best is looked at first


class Found(NamedTuple):
    """The best of a gallery for every query, best first."""

    rows: Tensor  # (Q, top) int64, of the gallery
    scores: Tensor  # (Q, top), the matcher's


def search(
    queries: Template,
    gallery: Template,
    *,
    top: int = 10,
    matcher: Spec | str = "fused",
    candidates: int | None = CANDIDATES,
    block: int = BLOCK,
) -> Found:
    """The `top` faces of the gallery that are most like each query, by the matcher's score.

    The cosine of the whole embeddings, of "fused" those of the visible parts, names `candidates` faces for each query;
    these the matcher compares.  `candidates=None` compares all with all, and finds what `match` and a sort would.
    Never more than `block` faces of the gallery are compared at once, so that memory is bounded.  A gallery of fewer
    faces than `top` gives as many as it has.  Searching one gallery often: make it ready once, see `search_prepared`.
    Raises `ShapeError` for templates of two kinds, `OptionError` for numbers that cannot be.
    """
    built = MATCHERS.build(matcher)
    ready = built.prepare(queries), built.prepare(gallery)
    return search_prepared(built, *ready, top=top, candidates=candidates, block=block)


def search_prepared(
    matcher: Matcher,
    queries: Prepared,
    gallery: Prepared,
    *,
    top: int = 10,
    candidates: int | None = CANDIDATES,
    block: int = BLOCK,
) -> Found:
    """`search` among templates that a matcher has made ready.

    The gallery's parts may be kept in half precision (`compact`), which takes half the memory and half the time to
    fetch; they are compared in the queries' own.
    """
    _check_counts(top=top, block=block, candidates=candidates)
    check_alike(queries, gallery, row_by_row=False)
    top = min(top, len(gallery.unit))
    found = []
    for start in range(0, len(queries.unit), QUERIES_AT_ONCE):
        some = faces_of(queries, slice(start, start + QUERIES_AT_ONCE))
        if candidates is None or max(candidates, top) >= len(gallery.unit):
            found.append(_exact(matcher, some, gallery, top=top, block=block))
        else:
            first = nearest(some.unit, gallery.unit, top=max(candidates, top), block=block)
            found.append(_again(matcher, some, gallery, first.rows, top=top))
    if not found:
        return Found(torch.empty(0, top, dtype=torch.int64), queries.unit.new_empty(0, top))
    return Found(*(torch.cat(columns) for columns in zip(*found, strict=True)))


def nearest(queries: Tensor, gallery: Tensor, *, top: int, block: int = BLOCK) -> Found:
    """The rows of unit length (G, D) that have the highest cosine with each of (Q, D): matrix products in blocks."""
    best = RunningTop(len(queries), min(top, len(gallery)), like=queries)
    for start in range(0, len(gallery), block):
        some = gallery[start : start + block].to(queries)
        best.add(queries @ some.T, start)
    return best.found()


def compact(gallery: Prepared, dtype: torch.dtype = torch.float16) -> Prepared:
    """A gallery made ready, its parts in half precision; the rest of it is small."""
    return gallery if gallery.parts is None else gallery._replace(parts=gallery.parts.to(dtype))


def faces_of(prepared: Prepared, which: slice | Tensor) -> Prepared:
    """Some of the faces."""
    return Prepared(*(None if x is None else x[which] for x in prepared))  # type: ignore[arg-type]


class RunningTop:
    """The highest scores of every query so far, block by block, and where in the gallery they stand.

    Of each chunk of scores the best is found first: whatever is among the highest stands in one of the chunks with
    the highest bests, and in none whose best is below what is kept already.  Only these are sorted, fewer and fewer of
    them.  Among equal scores any may come out.
    """

    def __init__(self, queries: int, top: int, *, like: Tensor):
        self.top = top
        self._scores = like.new_full((queries, top), -torch.inf)
        self._rows = torch.full((queries, top), -1, dtype=torch.int64, device=like.device)

    def add(self, scores: Tensor, start: int) -> None:
        """The scores (Q, n) of the gallery's rows from `start` on."""
        chunks = scores.shape[1] // _CHUNK
        if chunks >= 2 * self.top:
            whole = scores[:, : chunks * _CHUNK].unflatten(1, (chunks, _CHUNK))
            best = whole.amax(2)  # (Q, chunks)
            better = int((best > self._scores[:, -1:]).sum(1).amax())
            chosen = best.topk(min(better, self.top), sorted=False).indices
            inside = whole.gather(1, chosen[..., None].expand(-1, -1, _CHUNK)).flatten(1)
            at = (chosen[..., None] * _CHUNK + torch.arange(_CHUNK, device=scores.device)).flatten(1)
            self._merge(inside, at + start)
            scores, start = scores[:, chunks * _CHUNK :], start + chunks * _CHUNK
        if scores.shape[1]:
            at = torch.arange(start, start + scores.shape[1], device=scores.device)
            self._merge(scores, at.expand(scores.shape))

    def _merge(self, scores: Tensor, rows: Tensor) -> None:
        scores, rows = torch.cat([self._scores, scores], 1), torch.cat([self._rows, rows], 1)
        self._scores, order = scores.topk(self.top)
        self._rows = rows.gather(1, order)

    def found(self) -> Found:
        """The best first; a row -1 with the score -inf where fewer than `top` were added."""
        return Found(self._rows, self._scores)


def _exact(matcher: Matcher, queries: Prepared, gallery: Prepared, *, top: int, block: int) -> Found:
    best = RunningTop(len(queries.unit), top, like=queries.unit)
    for start in range(0, len(gallery.unit), block):
        some = _as(faces_of(gallery, slice(start, start + block)), queries)
        best.add(matcher.scores(queries, some), start)
    return best.found()


def _again(matcher: Matcher, queries: Prepared, gallery: Prepared, candidates: Tensor, *, top: int) -> Found:
    """The best of the candidates (Q, C), by the matcher's own score.

    One query at a time: its candidates are fetched into a piece of memory that fits the processor's cache and used
    there at once.  A query of the whole batch would carry all of them through main memory three times.
    """
    scores = [
        matcher.scores(faces_of(queries, slice(q, q + 1)), _as(faces_of(gallery, of_query), queries))
        for q, of_query in enumerate(candidates)
    ]
    best, order = torch.cat(scores).topk(top)
    return Found(candidates.gather(1, order), best)


def _as(gallery: Prepared, queries: Prepared) -> Prepared:
    return Prepared(*(None if x is None else x.to(queries.unit) for x in gallery))  # type: ignore[arg-type]


def _check_counts(*, top: int, block: int, candidates: int | None) -> None:
    counts: Sequence[tuple[str, int | None]] = (("top", top), ("block", block), ("candidates", candidates))
    for name, count in counts:
        if count is None:
            continue
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise OptionError(f"{name} is a whole number of at least 1, not {count!r}")
