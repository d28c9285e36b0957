"""Faces -> embeddings, batch by batch: each picture is read once and embedded once, and memory holds one batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ProtocolError, ShapeError
from ..evaluation.checks import check_whole
from ..evaluation.metrics import FloatArray
from ..images.pixels import Pixels
from .fingerprint import FacesFingerprint
from .inputs import Embedder, Faces

Embeddings = NDArray[np.float32]


class EmbeddedFaces(NamedTuple):
    """N faces as a protocol compares them."""

    embedding: Embeddings  # (N, D) rows of length 1
    fingerprint: str  # of the pictures as they were read: `FacesFingerprint`


class EmbeddedTwice(NamedTuple):
    """N faces as the model gives them, and fused with their mirror images."""

    plain: Embeddings  # (N, D) rows of length 1
    fused: Embeddings  # (N, D) f(x) + f(mirrored x) at length 1
    fingerprint: str


def embed_faces(embed: Embedder, faces: Faces, *, batch_size: int = 128, flip: bool = False) -> EmbeddedFaces:
    """Every face once, in its order, as rows of length 1; with `flip` fused with its mirror image (two forwards each).

    Raises `ProtocolError` naming the picture for NaN, infinity and a row of zeros, or when there are no faces;
    `ShapeError` when `embed` returns anything else than (n, D); `OptionError` for the batch size.
    """
    if flip:
        twice = embed_with_flip(embed, faces, batch_size=batch_size)
        return EmbeddedFaces(twice.fused, twice.fingerprint)
    batches = _Batches(embed, faces, batch_size)
    rows = _Rows(faces)
    for start, images in batches:
        rows.put(start, batches.embedded(images))
    return EmbeddedFaces(rows.unit, batches.fingerprint.hexdigest())


def embed_with_flip(embed: Embedder, faces: Faces, *, batch_size: int = 128) -> EmbeddedTwice:
    """Every face without and with flip fusion, from two forwards a picture; raises as `embed_faces` does.

    The fusion adds the embeddings as the model gives them and normalises the sum, as InsightFace and FROM do.
    """
    batches = _Batches(embed, faces, batch_size)
    plain, fused = _Rows(faces), _Rows(faces)
    for start, images in batches:
        own = batches.embedded(images)
        plain.put(start, own)
        fused.put(start, own + batches.embedded(np.ascontiguousarray(images[:, :, ::-1])))
    return EmbeddedTwice(plain.unit, fused.unit, batches.fingerprint.hexdigest())


def check_batch_size(batch_size: int) -> int:
    """How many pictures are embedded at once, at least one, or `OptionError`."""
    return check_whole("batch_size", batch_size, least=1, usual=128)


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
        """(n, D) in double precision: a short float16 vector would lose its direction."""
        rows = np.asarray(self._embed(images))
        if rows.ndim != 2 or len(rows) != len(images) or not rows.shape[1] or rows.dtype.kind not in "fiu":
            raise ShapeError(
                f"the embedder returned {rows.shape} of {rows.dtype} for {len(images)} pictures; "
                f"it must return numbers ({len(images)}, D)"
            )
        return rows.astype(np.float64)


class _Rows:
    """Rows of length 1, filled batch by batch."""

    def __init__(self, faces: Faces):
        self._faces = faces
        self.unit: Embeddings = np.empty((0, 0), np.float32)

    def put(self, start: int, rows: FloatArray) -> None:
        if not start:
            self.unit = np.empty((len(self._faces), rows.shape[1]), np.float32)
        elif rows.shape[1] != self.unit.shape[1]:
            raise ShapeError(
                f"the embedder returned {self.unit.shape[1]} numbers a picture and then {rows.shape[1]}; "
                "every batch must have the same D"
            )
        largest = np.abs(rows).max(axis=1)
        for wrong, what in (
            (~np.isfinite(largest), "holds NaN or infinity; every value must be finite"),
            (largest == 0, "is all zeros and has no direction"),
        ):
            if wrong.any():
                raise ProtocolError(f"the embedding of {self._faces.name(start + int(wrong.argmax()))} {what}")
        rows = rows / largest[:, None]  # squares of the largest and smallest floats would not be finite, or zero
        self.unit[start : start + len(rows)] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
