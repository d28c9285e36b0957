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

CANDIDATES = 30  # of a query's first pass, that are looked at again
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

    Once some are kept, a score matters only where it is above the least of them, and a whole chunk of scores does not
    where its highest is not: so most of a block is looked at once, and next to nothing of it is sorted.  Among equal
    scores any may come out.
    """

    def __init__(self, queries: int, top: int, *, like: Tensor):
        self.top = top
        self._scores = like.new_full((queries, top), -torch.inf)  # best first
        self._rows = torch.full((queries, top), -1, dtype=torch.int64, device=like.device)
        self._added = 0

    def add(self, scores: Tensor, start: int) -> None:
        """The scores (Q, n) of the gallery's rows from `start` on."""
        first = max(0, min(self.top - self._added, scores.shape[1]))  # before that many there is nothing to beat
        if first:
            at = torch.arange(start, start + first, device=scores.device)
            self._merge(scores[:, :first], at.expand(len(scores), first))
        chunks = (scores.shape[1] - first) // _CHUNK
        end = first + chunks * _CHUNK
        if chunks:
            self._add_chunks(scores[:, first:end].reshape(-1, _CHUNK), start + first)
        if end < scores.shape[1]:
            self._add_chunks(scores[:, end:].contiguous(), start + end)
        self._added += scores.shape[1]

    def _add_chunks(self, chunks: Tensor, start: int) -> None:
        """Chunks (Q * c, n) of scores, those of the first query first; its rows stand at `start` and onwards."""
        per_query, size = len(chunks) // max(1, len(self._scores)), chunks.shape[1]
        least = self._scores[:, -1]
        best = chunks.amax(1).view(-1, per_query)
        which = (best > least[:, None]).flatten().nonzero()[:, 0]  # of the chunks, by query
        inside = chunks[which]
        chunk, at = (inside > least[which // per_query, None]).nonzero(as_tuple=True)
        if not len(chunk):
            return
        query = which[chunk] // per_query
        rows = start + which[chunk] % per_query * size + at
        # Those of one query stand together; they become the first places of its row.
        counts = torch.bincount(query, minlength=len(least))
        place = torch.arange(len(query), device=query.device) - (counts.cumsum(0) - counts)[query]
        widest = int(counts.amax())
        better = chunks.new_full((len(least), widest), -torch.inf)
        better[query, place] = inside[chunk, at]
        where = torch.full((len(least), widest), -1, dtype=torch.int64, device=query.device)
        where[query, place] = rows
        self._merge(better, where)

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
