"""`check_gallery_index` passes what keeps the protocol and names what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from occmask.gallery import GALLERY_INDEXES, Hits, UnitRows
from occmask.testing import check_gallery_index


class Good:
    """Looks at every row."""

    def __init__(self, source: Any):
        blocks = list(source.blocks())
        self.ids = np.concatenate([b.ids for b in blocks] or [np.empty(0, np.int64)])
        self.rows = np.concatenate([b.rows for b in blocks] or [np.empty((0, source.width), np.float16)])

    def add(self, rows: UnitRows) -> None:
        self.ids, self.rows = np.concatenate([self.ids, rows.ids]), np.concatenate([self.rows, rows.rows])

    def remove(self, ids: Any) -> None:
        stays = ~np.isin(self.ids, ids)
        self.ids, self.rows = self.ids[stays], self.rows[stays]

    def search(self, queries: Any, *, top: int) -> Hits:
        cosines = queries @ self.rows.astype(np.float32).T
        order = np.argsort(-cosines, axis=1)[:, :top]
        short = top - order.shape[1]
        ids = np.pad(self.ids[order], ((0, 0), (0, short)), constant_values=-1)
        return Hits(ids, np.pad(np.take_along_axis(cosines, order, 1), ((0, 0), (0, short)), constant_values=-2))


class Forgetful(Good):
    """Adds nothing."""

    def add(self, rows: UnitRows) -> None:
        pass


class Clinging(Good):
    """Removes nothing."""

    def remove(self, ids: Any) -> None:
        pass


class Backwards(Good):
    """Worst first."""

    def search(self, queries: Any, *, top: int) -> Hits:
        ids, cosines = super().search(queries, top=top)
        return Hits(ids[:, ::-1], cosines[:, ::-1])


class Short(Good):
    """Gives fewer columns where there are fewer rows."""

    def search(self, queries: Any, *, top: int) -> Hits:
        return super().search(queries, top=min(top, len(self.ids)))


class Unscaled(Good):
    """Tells distances for cosines."""

    def search(self, queries: Any, *, top: int) -> Hits:
        ids, cosines = super().search(queries, top=top)
        return Hits(ids, 1 - cosines)


@pytest.mark.parametrize("name", list(GALLERY_INDEXES))
def test_every_index_keeps_its_protocol(name: str) -> None:
    check_gallery_index(name)


def test_an_index_of_somebody_else_passes() -> None:
    check_gallery_index(Good)


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (Forgetful, "finds what was added"),
        (Clinging, "never again finds"),
        (Backwards, "finds each row first"),
        (Short, r"\(Q, top\)"),
        (Unscaled, "tells the cosine"),
    ],
)
def test_each_broken_clause_is_named(index: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_gallery_index(index)
