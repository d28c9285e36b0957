"""RecordIO: byte strings one after the other in a file, as dmlc-core writes them and MXNet reads them.

A part is the magic word, a word of 3 bits of flag and 29 bits of length, that many bytes, and zeros up to a multiple of
four.  A record is one whole part; or, so that a reader can find its way by the magic word alone, a record in which that
word stands at a multiple of four is cut there: a first part, middle parts, a last part, and the word between them is
left out.  Source: dmlc-core, `recordio.h`.

Every function raises `DataError` with the reason alone; the caller knows what the file and the record are called.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ...errors import DataError
from ..random_access import RandomAccessFile

MAGIC = struct.pack("<I", 0xCED7230A)
MAX_PAYLOAD = 1 << 27  # bytes of one record here, well below the format's 2^29: no picture of a face is that large
MAX_PARTS = 1 << 16  # of one record: more cuts are no picture, but an attempt to keep the reader busy

_WORDS = struct.Struct("<II")
_MAGIC_WORD = 0xCED7230A
_LENGTH = (1 << 29) - 1
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_AT_ONCE = 1 << 14  # bytes read in the hope that they hold the record


class _Part(NamedTuple):
    flag: int
    start: int  # of its bytes in the file
    length: int

    @property
    def end(self) -> int:
        return self.start + (self.length + 3 & ~3)


def frame(payload: bytes) -> bytes:
    """A record as it stands in a file; `DataError` when it is too long."""
    if len(payload) > MAX_PAYLOAD:
        raise DataError(f"{len(payload)} bytes are more than the {MAX_PAYLOAD} that one record may hold")
    pieces = _cut(payload)
    if len(pieces) > MAX_PARTS:
        raise DataError(f"the format would cut it into {len(pieces)} parts; {MAX_PARTS} are read at most")
    if len(pieces) == 1:
        flags = [_WHOLE]
    else:
        flags = [_FIRST, *[_MIDDLE] * (len(pieces) - 2), _LAST]
    parts: list[bytes] = []
    for flag, piece in zip(flags, pieces, strict=True):
        parts += (_WORDS.pack(_MAGIC_WORD, flag << 29 | len(piece)), piece, bytes(-len(piece) % 4))
    return b"".join(parts)


def _cut(payload: bytes) -> list[bytes]:
    pieces, start = [], 0
    found = payload.find(MAGIC)
    while found >= 0:
        if found % 4 == 0:
            pieces.append(payload[start:found])
            start = found + 4
        found = payload.find(MAGIC, found + 4 if found % 4 == 0 else found + 1)
    return [*pieces, payload[start:]]


def read_record(file: RandomAccessFile, offset: int) -> bytes:
    """The bytes of the record that begins at `offset`."""
    head = file.read(offset, _AT_ONCE)
    part = _first_part(file, offset, head)
    if part.flag == _WHOLE:
        return head[8 : 8 + part.length] if part.length + 8 <= len(head) else _bytes_of(file, part)
    pieces, total = [], 0
    for part in _parts(file, offset):
        total += part.length + 4
        if total > MAX_PAYLOAD + 4:
            raise DataError(f"a split record of more than {MAX_PAYLOAD} bytes")
        pieces.append(_bytes_of(file, part))
    return MAGIC.join(pieces)


def read_beginning(file: RandomAccessFile, offset: int, count: int) -> bytes:
    """The first `count` bytes of the record at `offset`, or all of it; the rest is not read, and not checked."""
    head = file.read(offset, 8 + count)
    part = _first_part(file, offset, head)
    if part.flag == _WHOLE or part.length >= count:
        return head[8 : 8 + min(part.length, count)]
    beginning = b""
    for part in _parts(file, offset):  # each adds four bytes at least
        beginning += (MAGIC if part.flag != _FIRST else b"") + file.read(part.start, min(part.length, count))
        if len(beginning) >= count:
            break
    return beginning[:count]


def record_end(file: RandomAccessFile, offset: int) -> int:
    """Where the record at `offset` ends and the next begins."""
    end = offset
    for part in _parts(file, offset):
        end = part.end
    return end


def _parts(file: RandomAccessFile, offset: int) -> Iterator[_Part]:
    part = _first_part(file, offset, file.read(offset, 8))
    yield part
    for _ in range(0 if part.flag == _WHOLE else MAX_PARTS - 1):
        offset = part.end
        part = _part(file, offset, file.read(offset, 8))
        if part.flag not in (_MIDDLE, _LAST):
            raise DataError(f"a split record is not continued at byte {offset}")
        yield part
        if part.flag == _LAST:
            return
    if part.flag != _WHOLE:
        raise DataError(f"a record of more than {MAX_PARTS} parts")


def _first_part(file: RandomAccessFile, offset: int, head: bytes) -> _Part:
    part = _part(file, offset, head)
    if part.flag not in (_WHOLE, _FIRST):
        raise DataError(f"no record begins at byte {offset}, but a later part of one")
    return part


def _part(file: RandomAccessFile, offset: int, head: bytes) -> _Part:
    if len(head) < 8:
        raise DataError(f"truncated: the file ends at byte {file.size}, in a record's head at byte {offset}")
    magic, word = _WORDS.unpack_from(head)
    part = _Part(word >> 29, offset + 8, word & _LENGTH)
    if magic != _MAGIC_WORD or part.flag > _LAST:
        raise DataError(f"no record begins at byte {offset}")
    if part.length > MAX_PAYLOAD:
        raise DataError(f"a record of {part.length} bytes at byte {offset}; {MAX_PAYLOAD} are read at most")
    if part.start + part.length > file.size:
        raise DataError(f"truncated: the file ends at byte {file.size}, in a record of {part.length} bytes at {offset}")
    return part


def _bytes_of(file: RandomAccessFile, part: _Part) -> bytes:
    content = file.read(part.start, part.length)
    if len(content) < part.length:  # the file was cut after it was opened
        raise DataError(f"truncated: {len(content)} of {part.length} bytes at byte {part.start}")
    return content
