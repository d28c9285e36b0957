"""Records that lie in one piece somewhere in a file: read by position, never mapped into memory."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..images.reading import shown
from ..images.skipping import Skipped
from .names import NameIndex, short
from .record import Record

MAX_IMAGE_BYTES = 1 << 28  # of one encoded picture; a header of a few bytes can claim anything
KEPT_OPEN = 64  # files; the usual limit of a process is 1024
MOST_SKIPPED = 100_000  # entries that are listed one by one; a file of nothing else is not what it is taken for


def skip(skipped: list[Skipped], source: str, reason: str) -> None:
    """Note what is left out; `DataError` when it is more than could be damage."""
    if len(skipped) >= MOST_SKIPPED:
        raise DataError(f"{short(source)}: {reason}; with {MOST_SKIPPED} others before it, these are no records")
    skipped.append(Skipped(source, reason))


def open_file(path: str | os.PathLike[str]) -> int:
    """A descriptor of a regular file for reading; `DataError` otherwise, a pipe is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as e:
        raise DataError(f"{shown(path)}: cannot be read ({getattr(e, 'strerror', None) or e})") from e
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{shown(path)}: not a regular file")
    return descriptor


class Files:
    """Files read by position; opened when first needed, in a process that was forked or spawned as in any other."""

    def __init__(self, paths: Sequence[Path]):
        self.paths = tuple(paths)
        self._descriptors: dict[int, int] = {}

    def read(self, file: int, offset: int, size: int) -> bytes:
        """`size` bytes of a file, fewer at its end."""
        descriptor = self._descriptors.get(file)
        if descriptor is not None:
            return os.pread(descriptor, size, offset)
        descriptor = open_file(self.paths[file])
        try:
            return os.pread(descriptor, size, offset)
        finally:
            if len(self._descriptors) >= KEPT_OPEN or self._descriptors.setdefault(file, descriptor) != descriptor:
                os.close(descriptor)

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths, "_descriptors": {}}

    def __del__(self) -> None:
        for descriptor in getattr(self, "_descriptors", {}).values():
            os.close(descriptor)


class ExtentIndex(NameIndex):
    """Names, and the file, the offset and the size of each record, while a container is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.extents = array("q")

    def put(self, person: str, picture: str, *, file: int, offset: int, size: int) -> str | None:
        """Add a record, or say why it cannot be one."""
        if size == 0:
            return "empty"
        if size > MAX_IMAGE_BYTES:
            return f"{size} bytes; a picture of more than {MAX_IMAGE_BYTES} is not read"
        if not self.add(person, picture):
            return "a second record of that name"
        self.extents.extend((file, offset, size))
        return None


class ExtentReader:
    """A `RecordReader` of an `ExtentIndex`, in the order of the index; `by_number` is that of `people_and_labels`."""

    def __init__(self, paths: Sequence[Path], index: ExtentIndex, skipped: list[Skipped], *, by_number: bool = False):
        self.skipped = skipped
        self.people, self.labels = index.people_and_labels(by_number=by_number)
        self._names = index.names
        self._files = Files(paths)
        self._extents = (
            np.frombuffer(index.extents, np.int64).reshape(-1, 3) if len(index.names) else np.empty((0, 3), np.int64)
        )
        self._rows: NDArray[np.int64] | None = None

    def _sort(self) -> None:
        """By person and picture."""
        names = [self._names[row].replace("/", "\0") for row in range(len(self._names))]
        self._rows = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
        self.labels = self.labels[self._rows]

    def _row(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"{index} is not in 0..{len(self) - 1}")
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
        except OSError as e:
            raise DataError(f"{short(name)}: cannot be read ({e.strerror})") from e
        if len(image) != size:
            path = shown(self._files.paths[file])
            raise DataError(f"{short(name)}: {len(image)} of {size} bytes left in {path}; it was shortened since")
        return Record(name, int(self.labels[index]), image)
