"""Records that lie in one piece somewhere in a file: read by position."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..images.reading import shown
from ..images.skipping import Skipped
from .names import NameIndex, short, why_no_name
from .random_access import RandomAccessFiles
from .reading import no_pictures
from .record import MAX_IMAGE_BYTES, Record, check_index


class ExtentIndex(NameIndex):
    """Names, and the file, the offset and the size of each record, while a container is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.extents = array("q")

    def put(self, name: str, *, file: int, offset: int, size: int) -> str | None:
        """Add a record, or say why it cannot be one."""
        reason = why_no_name(name)
        if reason is not None:
            return reason
        if size == 0:
            return "empty"
        if size > MAX_IMAGE_BYTES:
            return f"{size} bytes; a picture of more than {MAX_IMAGE_BYTES} is not read"
        if not self.add(name):
            return "a second record of that name"
        self.extents.extend((file, offset, size))
        return None


class ExtentReader:
    """A `RecordReader` of an `ExtentIndex`, in the order of the index; `by_number` is that of `people_and_labels`.

    Raises `DataError` when there is no record: nothing at `path` is `expected`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        files: Sequence[Path],
        index: ExtentIndex,
        skipped: list[Skipped],
        expected: str,
        by_number: bool = False,
    ):
        if not len(index.names):
            raise no_pictures(path, skipped, expected=expected)
        self.skipped = skipped
        self.people, self.labels = index.people_and_labels(by_number=by_number)
        self._names = index.names
        self._files = RandomAccessFiles(files)
        self._extents = np.frombuffer(index.extents, np.int64).reshape(-1, 3)
        self._rows: NDArray[np.int64] | None = None

    def _sort(self) -> None:
        """By person and picture."""
        names = [self._names[row].replace("/", "\0") for row in range(len(self._names))]
        self._rows = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
        self.labels = self.labels[self._rows]

    def _row(self, index: int) -> int:
        check_index(index, len(self))
        return index if self._rows is None else int(self._rows[index])

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        return self._names[self._row(index)]

    def __getitem__(self, index: int) -> Record:
        row = self._row(index)
        name = self._names[row]
        file, offset, size = map(int, self._extents[row])
        try:
            image = self._files.read(file, offset, size)
        except DataError as e:
            raise DataError(f"{short(name)}: {e}") from None
        if len(image) != size:
            path = shown(self._files.paths[file])
            raise DataError(f"{short(name)}: {len(image)} of {size} bytes left in {path}; it was shortened since")
        return Record(name, int(self.labels[index]), image)
