"""The records of an LMDB data file, found by walking its B+ tree with bounded reads.

liblmdb maps the file into memory and trusts it: a truncated file ends the process with SIGBUS, a damaged page may do
anything.  Here nothing is mapped and every number is checked before it is used.  The layout is that of LMDB 0.9
(data version 1) with eight-byte page numbers, little-endian, as described in its `mdb.c`:

    page      u64 number | u16 - | u16 flags | u16 lower, u16 upper, or u32 pages | u16 places of nodes ... nodes
    node      u16 low, u16 high | u16 flags | u16 key size | key | value        (a leaf: the value's size is low, high)
    meta      magic | version | address | map size | free tree | main tree | last page | transaction      (pages 0, 1)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ..random_access import RandomAccessFile

MAGIC = struct.pack("<I", 0xBEEFC0DE)
HEADER = 16  # bytes of a page before its nodes; the magic number follows that of page 0
_PAGE = struct.Struct("<QHHHH")
_NODE = struct.Struct("<HHHH")
_META = struct.Struct("<IIQQ48sIHHQQQQQQQ")  # ... free tree, main tree: pad, flags, depth, 4 counts, root; last page
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE, _DIRTY = 1, 2, 4, 8, 16
_BIG, _SUBTREE, _DUPLICATES = 1, 2, 4  # flags of a node
_SEVERAL_VALUES = 4  # flag of a tree
_NO_PAGE = (1 << 64) - 1
_DEEPEST = 32
_NO_FIRST_PAGES = "a truncated LMDB: its two first pages are not there"


class Value(NamedTuple):
    """A key, and where its value lies in the file; with a reason when there is none that can be read."""

    key: bytes
    offset: int
    size: int
    reason: str | None = None


class Tree(NamedTuple):
    page_size: int
    root: int
    entries: int


def is_lmdb(path: Path) -> bool:
    """Whether a file begins like an LMDB data file."""
    try:
        with RandomAccessFile(path) as file:
            return file.read(HEADER, len(MAGIC)) == MAGIC
    except DataError:
        return False


def read_meta(file: RandomAccessFile) -> Tree:
    """The main tree as the last transaction left it; `DataError` with the reason when the file has none."""
    first = file.read(0, HEADER + _META.size)
    if first[HEADER : HEADER + 4] != MAGIC:
        if MAGIC in (first[12:16], first[24:28]) or first[HEADER : HEADER + 4] == MAGIC[::-1]:
            raise DataError(
                "an LMDB of a 32-bit or big-endian machine, or of LMDB 1.0; write it again with LMDB 0.9 on this one "
                "(mdb_dump there, mdb_load here)"
            )
        raise DataError("not an LMDB data file")
    if len(first) < HEADER + _META.size:
        raise DataError(_NO_FIRST_PAGES)
    page_size = struct.unpack_from("<I", first, HEADER + 24)[0]
    if page_size < 256 or page_size > 1 << 16 or page_size & (page_size - 1):
        raise DataError(f"a damaged LMDB: its pages would have {page_size} bytes")
    metas = [_meta(first, 0, page_size), _meta(file.read(page_size, HEADER + _META.size), 1, page_size)]
    flags, root, entries, _ = max(metas, key=lambda meta: meta[3])
    if flags & _SEVERAL_VALUES:
        raise DataError("an LMDB with several values for a key; one picture for a name is expected")
    return Tree(page_size, root, entries)


def _meta(data: bytes, number: int, page_size: int) -> tuple[int, int, int, int]:
    """(flags, root, entries, transaction) of a meta page."""
    if len(data) < HEADER + _META.size:
        raise DataError(_NO_FIRST_PAGES)
    page, _, page_flags, _, _ = _PAGE.unpack_from(data)
    magic, version, _, _, free, _, flags, _, _, _, _, entries, root, _, transaction = _META.unpack_from(data, HEADER)
    if magic != 0xBEEFC0DE or version != 1 or page != number or not page_flags & _META_PAGE:
        raise DataError(f"a damaged LMDB, or one of another version than 0.9: its page {number} is no meta page of it")
    if struct.unpack_from("<I", free)[0] != page_size:
        raise DataError("a damaged LMDB: its two first pages name different page sizes")
    return flags, root, entries, transaction


def values(file: RandomAccessFile, tree: Tree, damaged: Callable[[int, str], None]) -> Iterator[Value]:
    """Every key of the tree, in order of the keys; pages that cannot be read are told to `damaged` and left out.

    No page is visited twice, and the values together are no larger than the file: damage and malice take no more time
    and no more memory than a good file of that size.
    """
    seen = {0, 1}
    stack = [] if tree.root == _NO_PAGE else [(tree.root, 1)]
    left = file.size
    while stack:
        number, depth = stack.pop()
        if number in seen or depth > _DEEPEST:
            damaged(number, "the tree comes to it a second time" if number in seen else "the tree is too deep")
            continue
        seen.add(number)
        page = file.read(number * tree.page_size, tree.page_size)
        if len(page) < tree.page_size:
            damaged(number, "beyond the end of the file, which may be truncated")
            continue
        stored, _, flags, lower, _ = _PAGE.unpack_from(page)
        count = (lower - HEADER) // 2
        if stored != number or flags & ~_DIRTY not in (_BRANCH, _LEAF) or not 0 < count <= (len(page) - HEADER) // 2:
            damaged(number, "damaged")
            continue
        places = struct.unpack_from(f"<{count}H", page, HEADER)
        if flags & _BRANCH:
            children = [_child(page, place) for place in places]
            if None in children:
                damaged(number, "damaged")
            stack += [(child, depth + 1) for child in reversed(children) if child is not None]
            continue
        for place in places:
            value = _value(file, tree, page, number, place)
            if value is None:
                damaged(number, "damaged")
                continue
            left -= value.size
            if left < 0:
                damaged(number, "the values up to here would be larger than the file")
                return
            yield value


def _child(page: bytes, place: int) -> int | None:
    if place < HEADER or place + _NODE.size > len(page):
        return None
    low, high, flags, _ = _NODE.unpack_from(page, place)
    return int(low | high << 16 | flags << 32)


def _value(file: RandomAccessFile, tree: Tree, page: bytes, number: int, place: int) -> Value | None:
    """The value of a leaf's node; None when the node is not inside its page."""
    if place < HEADER or place + _NODE.size > len(page):
        return None
    low, high, flags, key_size = _NODE.unpack_from(page, place)
    start, length = place + _NODE.size + key_size, low | high << 16
    if start + (8 if flags & _BIG else length) > len(page):
        return None
    key = page[place + _NODE.size : start]
    if flags & (_SUBTREE | _DUPLICATES):
        return Value(key, 0, 0, "a database inside the database")
    if not flags & _BIG:
        return Value(key, number * tree.page_size + start, length)
    first = int.from_bytes(page[start : start + 8], "little")
    offset = first * tree.page_size
    if offset + HEADER + length > file.size:
        return Value(key, 0, 0, "beyond the end of the file, which may be truncated")
    stored, _, kind, low, high = _PAGE.unpack(file.read(offset, HEADER))
    if stored != first or kind & ~_DIRTY != _OVERFLOW or (low | high << 16) * tree.page_size < HEADER + length:
        return Value(key, 0, 0, "damaged")
    return Value(key, offset + HEADER, length)
