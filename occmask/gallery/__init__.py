"""A gallery: people, their templates and where these come from, in one SQLite file, and how it is searched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class UnitRows(NamedTuple):
    """Pictures' embeddings of length 1, as an index takes them."""

    ids: NDArray[np.int64]  # (n,), of pictures; never used twice in one file
    rows: NDArray[np.float16]  # (n, D)


class UnitSource(Protocol):
    """Where an index finds all of a gallery's rows, whenever it asks."""

    @property
    def width(self) -> int: ...  # D
    def __len__(self) -> int: ...  # how many rows there are
    def blocks(self) -> Iterator[UnitRows]: ...  # each of at most some megabytes


class Hits(NamedTuple):
    """What an index finds, best first; the id -1 where there are fewer."""

    ids: NDArray[np.int64]  # (Q, top)
    cosines: NDArray[np.float32]  # (Q, top)


class GalleryIndex(Protocol):
    """Built as `factory(source, **options)`; names the pictures that are worth a second look.

    `add` and `remove` tell it what was just written through the gallery that it belongs to; when another process has
    written, the gallery builds a new one.
    """

    def add(self, rows: UnitRows) -> None: ...
    def remove(self, ids: NDArray[np.int64]) -> None: ...
    def search(self, queries: NDArray[np.float32], *, top: int) -> Hits: ...  # queries (Q, D), of length 1


GALLERY_INDEXES: Registry[GalleryIndex] = Registry(
    "gallery index", "occmask.gallery_indexes", {"exact": "occmask.gallery.exact:ExactIndex"}
)

__all__ = ["GALLERY_INDEXES", "GalleryIndex", "Hits", "UnitRows", "UnitSource"]
