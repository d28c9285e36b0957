"""The bytes of a pickle: its opcodes one after the other, and what they stand for when it is asked for."""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass

from ...errors import DataError
from ..random_access import RandomAccessFile

MAX_BLOB = 1 << 25  # bytes of one that is read

_AT_ONCE = 1 << 16
_SHORT = 256  # bytes of a number's or a name's line


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes, or text that stands for bytes (code points below 256), by their place in the file."""

    start: int
    length: int  # in the file
    written: str  # "raw"; or "utf-8", "escape", "raw-unicode-escape", as the opcodes of text and of Python 2 write them

    def read(self, file: RandomAccessFile) -> bytes:
        """The bytes; `DataError` when there are too many, or text that stands for none."""
        if self.length > MAX_BLOB:
            raise DataError(f"{self.length} bytes in one piece at byte {self.start}; {MAX_BLOB} are read at most")
        content = file.read(self.start, self.length)
        try:
            if self.written == "escape":
                return _unescaped(content)
            return content if self.written == "raw" else content.decode(self.written).encode("latin-1")
        except ValueError:
            raise DataError(f"text at byte {self.start} that stands for no bytes") from None

    def text(self, file: RandomAccessFile) -> str:
        """The same as a short text."""
        if self.length > _SHORT:
            raise DataError(f"a name of {self.length} bytes at byte {self.start}")
        return self.read(file).decode("latin-1")


# A pair of lists or tuples.  From protocol 2 on a pickle begins with its protocol's number; in 0 and 1 with the first
# opcodes, which are letters: of the outer one, then of the pictures (a list, or a tuple with its first item).
_BEGINNING = re.compile(
    rb"\x80[\x02-\x05]"
    rb"|(?:\(|\(l(?:p[0-9]+\n)?|\](?:q.)?\(?)"
    rb"(?:\(l(?:p[0-9]+\n|[(SVc])|\](?:q.|\()|\((?:c[\w.]+\n|S['\"]))",
    re.DOTALL,
)


def is_pickle(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like a pickle of two lists or tuples, in any protocol."""
    try:
        with RandomAccessFile(path) as file:
            return _BEGINNING.match(file.read(0, _SHORT)) is not None
    except DataError:
        return False


_OTHER_ESCAPES = re.compile(rb"\\(?![nrt'\"]|x[0-9a-fA-F]{2})")


def _unescaped(content: bytes) -> bytes:
    """What Python 2 wrote with escapes; only those it wrote."""
    if _OTHER_ESCAPES.search(content.replace(b"\\\\", b"  ")):
        raise ValueError("an unknown escape")
    return codecs.escape_decode(content)[0]


class Source:
    """The file from beginning to end; what is skipped is not read."""

    def __init__(self, file: RandomAccessFile):
        self.file = file
        self._start = self._at = 0
        self._buffer = b""

    @property
    def position(self) -> int:
        return self._start + self._at

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._buffer):
            self._start, self._at, end = self.position, 0, count
            self._buffer = self.file.read(self._start, _AT_ONCE)
            if len(self._buffer) < count:
                raise DataError(f"truncated: it ends at byte {self.file.size}, inside the pickle")
        taken = self._buffer[self._at : end]
        self._at = end
        return taken

    def number(self, count: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def skip(self, count: int) -> int:
        """Where the skipped bytes begin."""
        start = self.position
        if start + count > self.file.size:
            raise DataError(f"truncated: it ends at byte {self.file.size}; {count} bytes should follow byte {start}")
        self._at += count
        return start

    def line(self) -> tuple[int, int]:
        """Where the rest of the line begins, and its length without its end."""
        start = position = self.position
        while piece := self.file.read(position, _AT_ONCE):
            found = piece.find(b"\n")
            if found >= 0:
                length = position + found - start
                self.skip(length + 1)
                return start, length
            position += len(piece)
        raise DataError(f"truncated: it ends at byte {self.file.size}, inside a line")

    def short_line(self) -> str:
        start, length = self.line()
        if length > _SHORT:
            raise DataError(f"a line of {length} bytes at byte {start}")
        return self.file.read(start, length).decode("ascii")
