"""Files that threads and processes read at once, each where it likes; never mapped into memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from ..errors import DataError
from ..images.reading import shown

KEPT_OPEN = 64  # of several files; the usual limit of a process is 1024


def open_file(path: str | os.PathLike[str]) -> int:
    """A descriptor of a regular file for reading; `DataError` otherwise, a pipe is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as e:
        missing = isinstance(e, FileNotFoundError)
        reason = "no such file" if missing else f"cannot be read ({getattr(e, 'strerror', None) or e})"
        raise DataError(f"{shown(path)}: {reason}") from e
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{shown(path)}: not a regular file")
    return descriptor


class RandomAccessFile:
    """An existing regular file, read at any position: there is no position to share, so threads and forks need no lock.

    Pickled, it is its path: the receiving process opens it again.  `size` is in bytes.  Raises `DataError` when the
    file does not exist, is no regular file or cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._descriptor = open_file(path)
        self.size = os.fstat(self._descriptor).st_size

    def read(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from `position`; fewer where the file ends, and never room for more than it holds.

        A `DataError` has the reason alone; the caller knows what the file and the record are called.
        """
        count = min(count, self.size - position)
        if count <= 0:
            return b""
        try:
            return os.pread(self._descriptor, count, position)
        except OSError as e:
            raise DataError(f"cannot be read at byte {position} ({e.strerror})") from e

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()


class RandomAccessFiles:
    """Any number of files, each opened when it is first needed; only some are kept open."""

    def __init__(self, paths: Sequence[Path]):
        self.paths = tuple(paths)
        self._open: dict[int, RandomAccessFile] = {}

    def read(self, file: int, position: int, count: int) -> bytes:
        """As `RandomAccessFile.read`; a file that cannot be opened is named."""
        found = self._open.get(file)
        if found is None:
            found = RandomAccessFile(self.paths[file])
            if len(self._open) < KEPT_OPEN:
                self._open[file] = found
        return found.read(position, count)

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths, "_open": {}}
