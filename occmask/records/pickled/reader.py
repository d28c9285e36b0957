"""InsightFace's verification sets, `lfw.bin` and the like: pairs of encoded pictures in a pickle that is not run.

The pickle holds ([2P encoded pictures], [P truth values]): pictures 2i and 2i + 1 are pair i.
Source: InsightFace, `eval/verification.py` (`load_bin`) and `lfw2pack.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...images.reading import shown
from ...images.skipping import Skipped
from ..extension import HEAD, extension_of
from ..joined import joined
from ..random_access import RandomAccessFile
from ..record import Record, check_index
from .arrays import STAND_INS, PickledArray
from .restricted import load
from .source import Blob

LAYOUT = "a pickle of ([encoded pictures, two for each pair], [True or False for each pair])"


class BinReader:
    """The pairs of a `.bin`, and its distinct pictures as records.

    `images` (2P encoded pictures, read when asked for) and `same` (P,) are what the file holds.  Pictures of the same
    bytes are one record; `left` and `right` (P,) are the records of each pair.  People are not in the file: those whom
    genuine pairs connect are one person, called "0000", "0001", ... in the order of appearance, so two people here may
    be one in truth.  Records are called `person/number.jpg`.

    Both dialects are read (Python 2 and 3, every protocol), also with NumPy's truth values and arrays of bytes; the
    pickle is not run, and anything else in it is refused.  Opening reads every picture once, to find equal ones.
    Raises `DataError`.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._file = RandomAccessFile(path)
        try:
            content = load(self._file, STAND_INS)
            pictures, self.same = self._content(content)
            row_of = self._distinct(pictures)
        except DataError as e:
            raise DataError(f"{shown(self.path)}: {e}; expected {LAYOUT}") from None
        rows = np.array([row_of[blob] for blob in pictures], np.int64)
        self.left, self.right = rows[0::2].copy(), rows[1::2].copy()
        self.images: Sequence[bytes] = _Images(self._file, [self._blobs[row] for row in rows.tolist()], self.path.name)
        self.labels = joined(len(self._blobs), np.stack([self.left, self.right], axis=1)[self.same])
        count = int(self.labels.max()) + 1
        digits = max(4, len(str(count - 1)))
        self.people: Sequence[str] = tuple(f"{number:0{digits}d}" for number in range(count))
        self.skipped: Sequence[Skipped] = ()

    def _content(self, content: object) -> tuple[list[Blob], NDArray[np.bool_]]:
        if not isinstance(content, (tuple, list)) or len(content) != 2:
            raise DataError("not two things")
        images, same = content
        if not isinstance(images, (tuple, list)) or not isinstance(same, (tuple, list, PickledArray)):
            raise DataError("not two lists")
        values = same.numbers(self._file).tolist() if isinstance(same, PickledArray) else same
        if len(images) != 2 * len(values) or not len(values):
            raise DataError(f"{len(images)} pictures for {len(values)} pairs")
        if not all(type(value) in (bool, int) and value in (0, 1) for value in values):
            raise DataError("a pair that is neither True nor False")
        return [_picture(image) for image in images], np.array(values, np.bool_)

    def _distinct(self, pictures: Iterable[Blob]) -> dict[Blob, int]:
        """The record that each place in the file is, and `_blobs`, the places of the records."""
        self._blobs: list[Blob] = []
        self._extensions: list[str] = []
        row_of: dict[Blob, int] = {}
        row_of_digest: dict[bytes, int] = {}
        for blob in pictures:
            if blob in row_of:
                continue
            image = blob.read(self._file)
            row = row_of_digest.setdefault(hashlib.blake2b(image, digest_size=16).digest(), len(self._blobs))
            if row == len(self._blobs):
                self._blobs.append(blob)
                self._extensions.append(extension_of(image[:HEAD]))
            row_of[blob] = row
        self._digits = max(5, len(str(len(self._blobs) - 1)))
        return row_of

    def __len__(self) -> int:
        return len(self._blobs)

    def name(self, index: int) -> str:
        check_index(index, len(self))
        return f"{self.people[self.labels[index]]}/{index:0{self._digits}d}{self._extensions[index]}"

    def __getitem__(self, index: int) -> Record:
        name = self.name(index)
        try:
            image = self._blobs[index].read(self._file)
        except DataError as e:
            raise DataError(f"{shown(name)}: {e}") from None
        if not image:
            raise DataError(f"{shown(name)}: a picture of 0 bytes")
        return Record(name, int(self.labels[index]), image)


class _Images(Sequence[bytes]):
    def __init__(self, file: RandomAccessFile, blobs: list[Blob], name: str):
        self._file, self._blobs, self._name = file, blobs, name

    def __len__(self) -> int:
        return len(self._blobs)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        try:
            return self._blobs[index].read(self._file)
        except DataError as e:
            raise DataError(f"{shown(self._name)}: picture {index}: {e}") from None


def _picture(image: object) -> Blob:
    if isinstance(image, PickledArray) and image.content is not None and image.item_type is not None:
        code, count, content = image.item_type.code, image.count, image.content
        # Text that stands for bytes takes more room in the file, which tells nothing about their number.
        if code not in ("u1", "i1") or (content.written == "raw" and content.length != count):
            raise DataError(f"a picture that is {count} numbers of type {code}, not its encoded bytes")
        return content
    if not isinstance(image, Blob):
        raise DataError("a picture that is not its encoded bytes")
    return image
