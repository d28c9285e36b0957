"""What a protocol is given: faces or pairs of faces, and a way to embed pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..evaluation.metrics import FloatArray, IntArray
from ..images.pixels import Pixels

# uint8 RGB pictures (N, H, W, 3) -> (N, D); the rows need not be normalised
Embedder: TypeAlias = Callable[[Pixels], NDArray[np.float32]]


@runtime_checkable
class Faces(Protocol):
    """N pictures of people; `occmask.data.faces.FaceSet` is one."""

    @property
    def labels(self) -> IntArray:
        """(N,) indices of `people`."""
        ...

    @property
    def people(self) -> Sequence[str]: ...

    @property
    def grey(self) -> bool:
        """Whether no picture has colour; what covers them then has none either."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str: ...

    def images(self, indices: Iterable[int] | None = None) -> Pixels:
        """The chosen pictures, or all of them, uint8 (n, H, W, 3)."""
        ...


@runtime_checkable
class Pairs(Protocol):
    """P pairs of N distinct pictures, in the order of their folds; `occmask.data.pairs.FacePairs` is one."""

    @property
    def faces(self) -> Faces: ...

    @property
    def left(self) -> IntArray:
        """(P,) indices of `faces`."""
        ...

    @property
    def right(self) -> IntArray: ...

    @property
    def same(self) -> NDArray[np.bool_]:
        """(P,) True where a pair shows one person."""
        ...


class ProbesAndGallery(NamedTuple):
    """Pictures to be named and the pictures of known people; a person is the same in both by name, not by label."""

    probes: Faces
    gallery: Faces


class PartialAndWhole(NamedTuple):
    """Probes that show a part of a face, and whole faces to find them among; people are matched by name."""

    probes: Faces
    gallery: Faces
    visible: FloatArray  # (P,) the share of the face that each probe shows, above 0 and at most 1
