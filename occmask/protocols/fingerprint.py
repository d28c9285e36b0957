"""Fingerprints of data: two results are of the same faces when these agree, whatever the files were called."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.pixels import Pixels


class FacesFingerprint:
    """SHA-256 over pictures in their order: each one's name, its person's name, and its pixels as they were read.

    The person's name stands for the label, so numbering the same people otherwise changes nothing.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, name: str, person: str, image: Pixels) -> None:
        """One more picture, uint8 (H, W, 3)."""
        for text in (name, person, str(image.shape)):
            encoded = text.encode("utf-8", "surrogateescape")  # file names need not be text
            self._hash.update(len(encoded).to_bytes(8, "little") + encoded)
        self._hash.update(np.ascontiguousarray(image).data)

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        return self._hash.hexdigest()


def joint_fingerprint(*parts: str | NDArray[Any]) -> str:
    """SHA-256 over other fingerprints and arrays, in their order: `joint_fingerprint(faces, left, right, same)`."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            described, content = "text", part.encode()
        else:
            ordered = np.ascontiguousarray(part, part.dtype.newbyteorder("<"))
            described, content = f"{ordered.dtype.str}{ordered.shape}", ordered.tobytes()
        whole.update(f"{described}:{len(content)}:".encode() + content)
    return whole.hexdigest()
