"""Faces -> embeddings, batch by batch: each picture is read once and embedded once, and memory holds one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolError, ShapeError
from ..evaluation.checks import check_whole
from ..evaluation.metrics import FloatArray
from ..images.pixels import Pixels
from ..matching.rows import COSINE, RowMatcher
from .fingerprint import FacesFingerprint
from .inputs import Embedder, Faces

Embeddings = NDArray[np.float32]


class EmbeddedFaces(NamedTuple):
    """N faces as a protocol compares them."""

    embedding: Embeddings  # (N, V) as the matcher prepared them; of the plain cosine rows (N, D) of length 1
    fingerprint: str  # of the pictures as they were read: `FacesFingerprint`


class EmbeddedTwice(NamedTuple):
    """N faces as the model gives them, and fused with their mirror images."""

    plain: Embeddings  # (N, V) as the matcher prepared them
    fused: Embeddings  # (N, V) the same of `RowMatcher.fuse`; of the plain cosine f(x) + f(mirrored x) at length 1
    fingerprint: str


def embed_faces(
    embed: Embedder, faces: Faces, *, batch_size: int = 128, flip: bool = False, matcher: RowMatcher = COSINE
) -> EmbeddedFaces:
    """Every face once, in its order, as rows for `matcher`; with `flip` fused with its mirror image (two forwards).

    Raises `ProtocolError` naming the picture for NaN, infinity and an embedding of zeros, or when there are no faces;
    `ShapeError` when `embed` returns anything else than (n, W); `OptionError` for the batch size.
    """
    batches = EmbeddedBatches(embed, faces, batch_size=batch_size, flip=flip, matcher=matcher)
    rows = _Rows(len(faces))
    for start, found in batches:
        rows.put(start, found)
    return EmbeddedFaces(rows.kept, batches.fingerprint)


def embed_with_flip(
    embed: Embedder, faces: Faces, *, batch_size: int = 128, matcher: RowMatcher = COSINE
) -> EmbeddedTwice:
    """Every face without and with flip fusion, from two forwards a picture; raises as `embed_faces` does.

    The fusion adds the embeddings as the model gives them and normalises the sum, as InsightFace and FROM do; what it
    is for another matcher than the cosine says `TemplateRows.fuse`.
    """
    batches = _Batches(embed, faces, batch_size)
    plain, fused = _Rows(len(faces)), _Rows(len(faces))
    for start, images in batches:
        own, mirrored = batches.embedded(images), batches.embedded(_mirrored(images))
        plain.put(start, batches.prepared(matcher, start, own))
        fused.put(start, batches.prepared(matcher, start, matcher.fuse(own, mirrored)))
    return EmbeddedTwice(plain.kept, fused.kept, batches.fingerprint.hexdigest())


class EmbeddedBatches:
    """Rows for `matcher`, batch by batch, for who need not hold them all: `embed_faces` in parts."""

    def __init__(
        self, embed: Embedder, faces: Faces, *, batch_size: int = 128, flip: bool = False, matcher: RowMatcher = COSINE
    ):
        self._batches, self._flip, self._matcher = _Batches(embed, faces, batch_size), flip, matcher

    def __iter__(self) -> Iterator[tuple[int, Embeddings]]:
        """The number of the first face of a batch, and the batch's rows (n, V)."""
        for start, images in self._batches:
            rows = self._batches.embedded(images)
            if self._flip:
                rows = self._matcher.fuse(rows, self._batches.embedded(_mirrored(images)))
            yield start, self._batches.prepared(self._matcher, start, rows)

    def in_blocks(self, block: int) -> Iterator[Embeddings]:
        """All rows in parts of exactly `block`, but for the last."""
        waiting: list[Embeddings] = []
        for _, rows in self:
            waiting.append(rows)
            while sum(map(len, waiting)) >= block:
                joined = np.concatenate(waiting)
                yield joined[:block]
                waiting = [joined[block:]]
        rest = np.concatenate(waiting)
        if len(rest):
            yield rest

    @property
    def fingerprint(self) -> str:
        """Of the pictures as they were read so far."""
        return self._batches.fingerprint.hexdigest()


def prepare_rows(matcher: RowMatcher, rows: FloatArray, name: Callable[[int], str]) -> Embeddings:
    """What a protocol keeps of rows (n, W) of an embedder.

    Raises `ProtocolError` for NaN, infinity and an embedding of zeros; `name` says whose row it is.
    """
    for wrong, what in (
        (~np.isfinite(rows).all(axis=1), "holds NaN or infinity; every value must be finite"),
        (~rows[:, : matcher.width].any(axis=1), "is all zeros and has no direction"),
    ):
        if wrong.any():
            raise ProtocolError(f"the embedding of {name(int(wrong.argmax()))} {what}")
    return matcher.prepare(rows)


def check_rows(rows: NDArray[Any], images: Pixels) -> FloatArray:
    """What an embedder returned for n pictures: (n, W) in double precision, or `ShapeError`.

    Double, for a short float16 vector would lose its direction.
    """
    if rows.ndim != 2 or len(rows) != len(images) or not rows.shape[1] or rows.dtype.kind not in "fiu":
        raise ShapeError(
            f"the embedder returned {rows.shape} of {rows.dtype} for {len(images)} pictures; "
            f"it must return numbers ({len(images)}, D)"
        )
    return rows.astype(np.float64)


def check_batch_size(batch_size: int) -> int:
    """How many pictures are embedded at once, at least one, or `OptionError`."""
    return check_whole("batch_size", batch_size, least=1, usual=128)


def _mirrored(images: Pixels) -> Pixels:
    return np.ascontiguousarray(images[:, :, ::-1])


class _Batches:
    """The faces batch by batch, fingerprinted as they pass."""

    def __init__(self, embed: Embedder, faces: Faces, batch_size: int):
        check_batch_size(batch_size)
        if not len(faces):
            raise ProtocolError("there are no faces to embed; at least one is needed")
        self.fingerprint = FacesFingerprint()
        self._embed, self._faces, self._batch_size = embed, faces, batch_size
        self._people = [faces.people[label] for label in faces.labels.tolist()]

    def __iter__(self) -> Iterator[tuple[int, Pixels]]:
        for start in range(0, len(self._faces), self._batch_size):
            chosen = range(start, min(start + self._batch_size, len(self._faces)))
            images = self._faces.images(chosen)
            for index, image in zip(chosen, images, strict=True):
                self.fingerprint.add(self._faces.name(index), self._people[index], image)
            yield start, images

    def embedded(self, images: Pixels) -> FloatArray:
        """(n, W)."""
        return check_rows(np.asarray(self._embed(images)), images)

    def prepared(self, matcher: RowMatcher, start: int, rows: FloatArray) -> Embeddings:
        """(n, V) of the faces from number `start` on."""
        return prepare_rows(matcher, rows, lambda index: self._faces.name(start + index))


class _Rows:
    """Rows kept batch by batch."""

    def __init__(self, count: int):
        self._count = count
        self.kept: Embeddings = np.empty((0, 0), np.float32)

    def put(self, start: int, rows: Embeddings) -> None:
        if not start:
            self.kept = np.empty((self._count, rows.shape[1]), np.float32)
        elif rows.shape[1] != self.kept.shape[1]:
            raise ShapeError(
                f"the embedder returned {self.kept.shape[1]} numbers a picture and then {rows.shape[1]}; "
                "every batch must have the same D"
            )
        self.kept[start : start + len(rows)] = rows
