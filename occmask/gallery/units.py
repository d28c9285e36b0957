"""What the first pass compares: a row of length 1 a picture, in float16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import DataError
from ..images.reading import shown
from ..shapes import Template
from . import UnitRows
from .reading import unit_blocks
from .store import Store

_ROWS_AT_ONCE = 16_384  # read from the file together


class KeptUnits:
    """A gallery's unit rows, read from the file whenever an index asks."""

    def __init__(self, store: Store):
        self._store = store
        kind = store.kind()
        self.width = 0 if kind is None else kind.dim

    def __len__(self) -> int:
        return self._store.count()[1]

    def blocks(self) -> Iterator[UnitRows]:
        for some in unit_blocks(self._store, at_once=_ROWS_AT_ONCE):
            if any(not isinstance(unit, bytes) or len(unit) != 2 * self.width for _, unit in some):
                raise DataError(
                    f"{shown(self._store.path)}: a unit in it has another length than {self.width}; damaged"
                )
            yield unit_rows(some)


def unit_rows(rows: Sequence[tuple[int, bytes]]) -> UnitRows:
    ids = np.fromiter((i for i, _ in rows), np.int64, len(rows))
    units = np.frombuffer(bytearray().join(unit for _, unit in rows), "<f2")
    return UnitRows(ids, units.reshape(len(rows), -1))


def units_of(template: Template) -> list[bytes]:
    """What the first pass compares: embeddings of the visible parts, of length 1, in float16."""
    from ..matching.whole import visible_unit

    rows = visible_unit(template, sharpness=1.0).detach().float().cpu().numpy().astype("<f2")
    return [row.tobytes() for row in rows]
