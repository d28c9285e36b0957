"""The members of a tar archive, found by their headers: ustar, GNU and pax, after POSIX.1-2017 `pax` and tar(5).

Python's `tarfile` is not asked: a header with a negative size makes it read the same place for ever in the versions
that are around (CVE-2025-8194), and it keeps an object for each of a million members.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..names import decoded
from ..random_access import RandomAccessFile

BLOCK = 512
END = bytes(BLOCK)
COMPRESSED = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ\0": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
    b"\x04\x22\x4d\x18": "unlz4",
}

_REGULAR = (b"0", b"\0", b"7")
_FOLDER = b"5"
_WITHOUT_DATA = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
}
_LONGEST_EXTENSION = 1 << 20  # bytes of a name or of a pax header
_MOST_ZEROS = 1 << 20  # bytes that may lie between joined archives; a sparse file has any number


class Member(NamedTuple):
    """A regular file of `size` bytes at `offset`, or, with a reason, something that is none."""

    name: str
    offset: int
    size: int
    reason: str | None = None

    @property
    def end(self) -> int:
        """Where the next header begins."""
        return self.offset + -(-self.size // BLOCK) * BLOCK


def members(file: RandomAccessFile) -> Iterator[Member]:
    """The members of an archive, in order; folders are left out.

    Where a header is damaged nothing tells where the next begins: the last member then says so.  An archive without
    an end mark is told likewise, for it may have lost any number of members.
    """
    position, ended, size = 0, False, file.size
    name: str | None = None
    data_size: int | None = None
    trouble: str | None = None
    while position + BLOCK <= size:
        header = file.read(position, BLOCK)
        if header == END:
            ended = True
            after = _after_zeros(file, position)
            if after is None:
                yield Member("", position, 0, f"{_MOST_ZEROS} zeros from byte {position} on; the rest is not read")
                return
            position = after
            continue
        stored = _number(header[124:136])
        if stored is None or not _checksum_holds(header):
            yield Member("", position, 0, f"a damaged header at byte {position}; the rest is not read")
            return
        ended = False
        kind, start = header[156:157], position + BLOCK
        position = start + -(-stored // BLOCK) * BLOCK
        if kind in b"LKxXg":
            if stored > _LONGEST_EXTENSION:
                trouble = f"its extended header has {stored} bytes; {_LONGEST_EXTENSION} are read"
            elif kind == b"L":
                name = decoded(file.read(start, stored).split(b"\0", 1)[0])
            elif kind in b"xX":
                found = _pax(file.read(start, stored))
                if found is None:
                    trouble = "a damaged extended header"
                else:
                    name, data_size = found.name or name, found.size if found.size is not None else data_size
                    trouble = "a sparse file" if found.sparse else trouble
            continue
        called = _name(header) if name is None else name
        length = stored if data_size is None else data_size
        folder = kind == _FOLDER or (kind == b"\0" and called.endswith("/"))
        reason = trouble or _WITHOUT_DATA.get(kind)
        if reason is None and kind not in _REGULAR and not folder:
            reason = "not a regular file"
        position = start if folder or kind in _WITHOUT_DATA else start + -(-length // BLOCK) * BLOCK
        name = data_size = trouble = None
        if start + length > size and position > start:
            yield Member(called, start, 0, f"truncated: {size - start} of {length} bytes are there")
            return
        if not folder:
            yield Member(called, start, length, reason)
    if position < size or name is not None or data_size is not None or trouble is not None or position > size + BLOCK:
        yield Member("", position, 0, f"truncated: no whole header at byte {position}")
    elif not ended:
        yield Member("", position, 0, "no end mark: the archive may be truncated")


def _after_zeros(file: RandomAccessFile, position: int) -> int | None:
    """The block at which zeros end, or the file; None when there are too many."""
    for start in range(position, position + _MOST_ZEROS, 1 << 16):
        piece = file.read(start, 1 << 16)
        rest = piece.lstrip(b"\0")
        if rest:
            return start + (len(piece) - len(rest)) // BLOCK * BLOCK
        if start + (1 << 16) >= file.size:
            return file.size
    return None


def _number(field: bytes) -> int | None:
    """Octal digits, or GNU's binary after a first byte of 0x80; None for anything else, negative numbers included."""
    if field[0] == 0x80:
        value = int.from_bytes(field[1:], "big")
        return value if value < 1 << 62 else None
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if digits.strip(b"01234567"):
        return None
    return int(digits or b"0", 8)


def _checksum_holds(header: bytes) -> bool:
    total = sum(header) - sum(header[148:156]) + 8 * 0x20
    stored = _number(header[148:156])
    if stored == total:
        return True
    return stored == total - 256 * sum(byte > 127 for byte in header[:148] + header[156:])  # signed, as old tars had it


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return decoded(prefix + b"/" + name if prefix else name)


class _Extended(NamedTuple):
    name: str | None
    size: int | None
    sparse: bool


def _pax(data: bytes) -> _Extended | None:
    """The records `length key=value` of a pax header that matter here; None when one is damaged."""
    name: str | None = None
    size: int | None = None
    sparse = False
    position = 0
    while position < len(data) and data[position] != 0:
        space = data.find(b" ", position, position + 20)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            return None
        end = position + int(digits)
        key, separator, value = data[space + 1 : end - 1].partition(b"=")
        if end <= space + 1 or end > len(data) or not separator or data[end - 1 : end] != b"\n":
            return None
        if key == b"path":
            name = decoded(value)
        elif key == b"size":
            if not value.isdigit() or len(value) > 18:
                return None
            size = int(value)
        elif key.startswith(b"GNU.sparse."):
            sparse = True
        position = end
    return _Extended(name, size, sparse)
