"""A file that threads and processes read at once, each where it likes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..images.reading import shown


class RandomAccessFile:
    """An existing regular file, read at any position: there is no position to share, so threads and forks need no lock.

    Pickled, it is its path: the receiving process opens it again.  `size` is in bytes.  Raises `DataError` when the
    file does not exist, is no regular file or cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._descriptor = -1
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):  # opening a pipe would wait for ever
                raise DataError(f"{shown(self.path)}: not a regular file")
            self._descriptor = os.open(self.path, os.O_RDONLY)
            self.size = os.fstat(self._descriptor).st_size
        except (OSError, ValueError) as e:
            if isinstance(e, DataError):
                raise
            reason = "no such file" if isinstance(e, FileNotFoundError) else f"cannot be read ({e})"
            raise DataError(f"{shown(self.path)}: {reason}") from e

    def read(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from `position`; fewer where the file ends, and never room for more than it holds."""
        count = min(count, self.size - position)
        if count <= 0:
            return b""
        try:
            return os.pread(self._descriptor, count, position)
        except OSError as e:
            raise DataError(f"cannot be read at byte {position} ({e.strerror})") from e

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)
