"""The index of a gallery as its file is now, though this process and others write to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..spec import Spec
from . import GALLERY_INDEXES, GalleryIndex
from .entries import Face
from .store import Store
from .units import KeptUnits, unit_rows


class CurrentIndex:
    """Built when it is asked for, told of what is written here, and built anew when others have written."""

    def __init__(self, store: Store, spec: Spec):
        self._store, self._spec = store, spec
        self._index: GalleryIndex | None = None
        self._built_at = -1

    def tell(self, *, added: tuple[Sequence[int], Sequence[Face]] = ((), ()), removed: Iterable[int] = ()) -> None:
        """Of pictures that were written, with their ids, and of those that are gone."""
        if self._store.is_writing:  # what was written may still be taken back
            self.drop()
        if self._index is None:
            return
        gone = list(removed)
        if gone:
            self._index.remove(np.array(gone, np.int64))
        ids, faces = added
        if ids:
            self._index.add(unit_rows([(i, face.unit) for i, face in zip(ids, faces, strict=True)]))

    def drop(self) -> None:
        """Build it anew when it is asked for next."""
        self._index = None

    def get(self) -> GalleryIndex:
        if self._store.is_writing:  # what is in the file may still be taken back
            return self._build()
        changes = self._store.changes_of_others()
        if self._index is None or changes != self._built_at:
            self._index = self._build()
            self._built_at = changes
        return self._index

    def _build(self) -> GalleryIndex:
        return GALLERY_INDEXES.build(self._spec, KeptUnits(self._store))
