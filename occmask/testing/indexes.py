"""`check_gallery_index`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..gallery import GALLERY_INDEXES, GalleryIndex, Hits, UnitRows
from .describing import check_description
from .examination import Component, Examination, examinations, seeded

_WIDTH, _KNOWN, _MORE = 16, 40, 5
_CLOSE = 5e-3  # of a cosine of float16 rows


class _Rows:
    """Rows of a gallery that is not there, handed out in two blocks; ids leave gaps, as after deletions."""

    width = _WIDTH

    def __init__(self, ids: NDArray[np.int64], rows: NDArray[np.float16]):
        self.ids, self.rows = ids, rows

    def __len__(self) -> int:
        return len(self.ids)

    def blocks(self) -> Iterator[UnitRows]:
        half = len(self.ids) // 2
        for some in (slice(0, half), slice(half, None)):
            if len(self.ids[some]):
                yield UnitRows(self.ids[some], self.rows[some])


def check_gallery_index(index: Component[GalleryIndex]) -> None:
    """Raise `AssertionError` unless an index keeps its protocol (`occmask.gallery.GalleryIndex`).

    Checked: a row is found by itself, first, with its cosine; hits are best first, each picture once, and the id -1
    stands where there are fewer rows than asked for; what was added is found, and what was removed never again; a
    gallery without rows finds nothing; and what the index says of itself.
    """
    for exam, (source,) in examinations(GALLERY_INDEXES, index, [("40 pictures", (_source(_KNOWN),))]):
        with seeded():
            _check_search(exam, source)
            _check_changes(exam, source)
            _check_nothing(exam)
            check_description(exam, source)


def _check_search(exam: Examination, source: _Rows) -> None:
    built = exam.build(source)
    queries = source.rows.astype(np.float32)
    found = _search(exam, built, queries, top=3)
    exam.require(bool((found.ids[:, 0] == source.ids).all()), "finds each row first when it is looked for itself")
    order = {picture: place for place, picture in enumerate(source.ids.tolist())}
    exam.require(set(found.ids.ravel().tolist()) <= set(order), "names pictures that are in the gallery")
    places = np.array([[order[picture] for picture in row] for row in found.ids.tolist()])
    true = np.einsum("qd,qtd->qt", queries, queries[places])
    exam.require(bool((np.abs(found.cosines - true) < _CLOSE).all()), "tells the cosine of each hit")
    exam.require(bool((np.diff(found.cosines, axis=1) <= _CLOSE).all()), "puts the best hit first")
    exam.require(all(len(set(row)) == len(row) for row in found.ids.tolist()), "names each picture once")
    more = _search(exam, built, queries[:2], top=_KNOWN + 2)
    exam.require(bool((more.ids[:, _KNOWN:] == -1).all()), "gives the id -1 where there are fewer rows than asked for")


def _check_changes(exam: Examination, source: _Rows) -> None:
    built, new = exam.build(source), _source(_MORE, first=1000, seed=1)
    queries = new.rows.astype(np.float32)
    _search(exam, built, queries, top=1)
    with exam.clause("takes rows that were just enrolled"):
        built.add(UnitRows(new.ids, new.rows))
    exam.require(bool((_search(exam, built, queries, top=1).ids[:, 0] == new.ids).all()), "finds what was added to it")
    with exam.clause("forgets rows that were deleted"):
        built.remove(new.ids[:2])
    left = set(_search(exam, built, queries, top=_KNOWN).ids.ravel().tolist())
    exam.require(not left & set(new.ids[:2].tolist()), "never again finds what was removed from it")
    exam.require(set(new.ids[2:].tolist()) <= left, "still finds what was not removed")


def _check_nothing(exam: Examination) -> None:
    with exam.clause("is built for a gallery without rows"):
        empty = exam.build(_Rows(np.empty(0, np.int64), np.empty((0, _WIDTH), np.float16)))
    found = _search(exam, empty, np.eye(2, _WIDTH, dtype=np.float32), top=2)
    exam.require(bool((found.ids == -1).all()), "finds nothing in a gallery without rows")


def _search(exam: Examination, index: GalleryIndex, queries: NDArray[np.float32], *, top: int) -> Hits:
    with exam.clause("searches"):
        found = index.search(queries, top=top)
    exam.require(isinstance(found, Hits), f"returns an occmask.Hits, not a {type(found).__name__}")
    for name, array in found._asdict().items():
        shape = np.shape(array)
        exam.require(shape == (len(queries), top), f"returns {name} (Q, top) = {(len(queries), top)}, not {shape}")
    return found


def _source(count: int, *, first: int = 3, seed: int = 0) -> _Rows:
    rows = np.random.default_rng(seed).normal(size=(count, _WIDTH))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    return _Rows(np.arange(first, first + 2 * count, 2), unit)
