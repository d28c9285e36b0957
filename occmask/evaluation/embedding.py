"""Every picture of a set embedded once, and a fingerprint of what was embedded."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import unit_rows
from .inputs import Embedder, Faces


class EmbeddedFaces(NamedTuple):
    """Unit rows, and the set they belong to."""

    embedding: NDArray[np.float32]  # (N, D)
    fingerprint: str


def embed_faces(embed: Embedder, faces: Faces, *, batch_size: int = 128, flip: bool = False) -> EmbeddedFaces:
    """Embed each picture once; `flip` adds the mirrored picture's embedding before normalising."""
    digest = hashlib.sha256(np.asarray(faces.labels, "<i8").tobytes())
    rows = []
    for start in range(0, len(faces), batch_size):
        images = faces.images(range(start, min(start + batch_size, len(faces))))
        digest.update(images.tobytes())
        found = np.asarray(embed(images))
        rows.append(found + np.asarray(embed(np.ascontiguousarray(images[:, :, ::-1]))) if flip else found)
    return EmbeddedFaces(unit_rows("face", np.concatenate(rows)).astype(np.float32), digest.hexdigest())
