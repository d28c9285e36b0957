"""InsightFace's `train.rec`, `train.idx`, `property`, and what MXNet's im2rec makes, read without MXNet."""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...images.reading import shown
from ...images.skipping import Skipped
from ..extension import HEAD, extension_of
from ..random_access import RandomAccessFile
from ..record import Record, check_index
from .files import RecFiles, listed_names, read_index, read_property
from .framing import read_beginning, read_record, record_end

HEADER = struct.Struct("<IfQQ")  # how many labels follow, or 0 and the label; the label; the key; a second key
MOST_SKIPPED = 1000
_BEGINNING = HEADER.size + 4 * 32 + HEAD  # of a record: enough for its label, and for the kind of its picture


class _Head(NamedTuple):
    """The beginning of a record's bytes."""

    labels: tuple[float, ...]  # those that were read
    key: int
    picture: int  # where the picture begins


def _head(beginning: bytes) -> _Head:
    if len(beginning) < HEADER.size:
        raise DataError(f"{len(beginning)} bytes are no record of a picture")
    count, label, key, _ = HEADER.unpack_from(beginning)
    known = min(count, (len(beginning) - HEADER.size) // 4)
    labels = struct.unpack_from(f"<{known}f", beginning, HEADER.size) if count else (label,)
    return _Head(labels, key, HEADER.size + 4 * count)


class RecReader:
    """The pictures of a `.rec`, by key; `path` is the folder, the `.rec` or the `.idx`.

    InsightFace's files say in record 0 which keys are pictures and which are people's ranges of keys; others hold
    pictures from the first key on.  Both are read, with or without an `.idx` (the `.rec` is then looked through once)
    and a `property`.  A person is a whole number in the header, the first where there are several; people are in the
    order of their numbers.  `train.lst`, as im2rec and `RecWriter` write it, gives records and people their names when
    it names all of them `person/picture`; otherwise (`.why_numbered`) they are called by number and key.

    Opening reads a few bytes of each record, or of each person where record 0 tells who is where.  `.skipped` lists
    what the files promise and do not hold.  Raises `DataError` when there is no picture, or when more than 1000
    records are damaged.
    """

    def __init__(self, path: str | os.PathLike[str]):
        files = RecFiles.found_at(path)
        self.path = files.rec
        self._file = RandomAccessFile(files.rec)
        self.skipped: list[Skipped] = []
        self.property = read_property(files.property)
        keys, offsets = self._index(files)
        keys, offsets, numbers = self._pictures(keys, offsets)
        good = numbers >= 0
        if not good.any():
            why = f"; the first reason: {self.skipped[0].reason}" if self.skipped else ""
            raise DataError(f"{shown(self.path)}: no picture of a person{why}")
        self.keys, self._offsets = keys[good], offsets[good]  # (N,)
        people, labels = np.unique(numbers[good], return_inverse=True)
        self.labels: NDArray[np.int64] = labels.reshape(-1).astype(np.int64)
        names = listed_names(files.lst, self.keys, self.labels)
        self._names = None if isinstance(names, str) else names
        self.why_numbered = names if isinstance(names, str) else None
        digits = len(str(people[-1]))
        self._digits = len(str(self.keys[-1]))
        self.people: Sequence[str] = tuple(f"{number:0{digits}d}" for number in people.tolist())
        if self._names is not None:
            _, first = np.unique(self.labels, return_index=True)
            self.people = tuple(self._names[index].partition("/")[0] for index in first.tolist())

    def __len__(self) -> int:
        return len(self.keys)

    def name(self, index: int) -> str:
        check_index(index, len(self))
        if self._names is not None:
            return self._names[index]
        try:
            beginning = self._beginning(int(self._offsets[index]))
            extension = extension_of(beginning[_head(beginning).picture :])
        except DataError:  # reading it will say why
            extension = extension_of(b"")
        return f"{self.people[self.labels[index]]}/{self.keys[index]:0{self._digits}d}{extension}"

    def __getitem__(self, index: int) -> Record:
        name = self.name(index)
        try:
            payload = read_record(self._file, int(self._offsets[index]))
            image = payload[_head(payload).picture :]
        except DataError as e:
            raise DataError(f"{shown(name)}: {e}") from None
        if not image:
            raise DataError(f"{shown(name)}: a record without a picture")
        return Record(name, int(self.labels[index]), image)

    def _beginning(self, offset: int) -> bytes:
        return read_beginning(self._file, offset, _BEGINNING)

    def _skip(self, what: str, reason: str) -> None:
        self.skipped.append(Skipped(f"{self.path}: {what}", reason))
        if len(self.skipped) > MOST_SKIPPED:
            first = self.skipped[0]
            raise DataError(
                f"{shown(self.path)}: more than {MOST_SKIPPED} records cannot be read; the first, "
                f"{first.source.removeprefix(f'{self.path}: ')}: {first.reason}. "
                f"Is {self.path.with_suffix('.idx').name} that of this file? Without it, the file itself is searched"
            )

    def _index(self, files: RecFiles) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys, ascending and each once, and where their records begin."""
        if files.idx.exists():
            keys, offsets = read_index(files.idx)
        else:
            keys, offsets = self._search()
        inside = (offsets >= 0) & (offsets < self._file.size) & (keys >= 0)
        if not inside.all():
            reason = f"{files.idx.name} says they begin beyond its end, byte {self._file.size}; it may be truncated"
            self._skip(f"{int((~inside).sum())} of {len(keys)} records", reason)
        keys, chosen = np.unique(keys[inside], return_index=True)
        if len(keys) < inside.sum():
            reason = f"{files.idx.name} lists their keys a second time"
            self._skip(f"{int(inside.sum()) - len(keys)} of {len(inside)} records", reason)
        return keys, offsets[inside][chosen]

    def _search(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every record from the file's beginning on; its key is in its header, or its number if two have one key."""
        found, offsets, offset = array("Q"), array("q"), 0
        while offset < self._file.size:
            try:
                key = _head(self._beginning(offset)).key
                end = record_end(self._file, offset)
            except DataError as e:
                self._skip(f"bytes {offset} to {self._file.size}", str(e))
                break
            found.append(key)
            offsets.append(offset)
            offset = end
        keys = np.array(found, np.uint64)
        if len(np.unique(keys)) < len(keys) or keys.max(initial=0) >= 1 << 62:
            keys = np.arange(len(keys), dtype=np.uint64)
        return keys.astype(np.int64), np.array(offsets, np.int64)

    def _pictures(
        self, keys: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Keys and offsets of the pictures, and the numbers of their people; -1 for what was skipped."""
        described = self._range(int(offsets[0])) if len(keys) and keys[0] == 0 else None
        if described is None:
            return keys, offsets, self._numbers(keys, offsets)
        end_of_pictures, end_of_people = described
        start, stop, last = np.searchsorted(keys, (1, end_of_pictures, end_of_people))
        missing = end_of_pictures - 1 - int(stop - start)
        if missing:
            self._skip(f"{missing} of {end_of_pictures - 1} pictures", "record 0 counts them and the index lacks them")
        picture_keys, picture_offsets = keys[start:stop], offsets[start:stop]
        ranges = [self._range(int(offset)) for offset in offsets[stop:last]]
        bounds = sorted(bound for bound in ranges if bound is not None)
        first = np.array([bound[0] for bound in bounds], np.int64)
        end = np.array([bound[1] for bound in bounds], np.int64)
        tiled = len(first) == len(ranges) > 0 and first[0] == 1 and end[-1] == end_of_pictures
        if missing or not tiled or (first[1:] != end[:-1]).any() or (first >= end).any():
            return picture_keys, picture_offsets, self._numbers(picture_keys, picture_offsets)
        known = len(self.skipped)
        numbers = self._numbers(first, picture_offsets[first - 1])
        if (numbers < 0).any():  # one damaged record says nothing about the others of its person
            del self.skipped[known:]
            return picture_keys, picture_offsets, self._numbers(picture_keys, picture_offsets)
        return picture_keys, picture_offsets, np.repeat(numbers, end - first)

    def _numbers(self, keys: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """The person of each record, from its header; -1 where it is damaged."""
        numbers = np.full(len(keys), -1, np.int64)
        for row, (key, offset) in enumerate(zip(keys.tolist(), offsets.tolist(), strict=True)):
            try:
                labels = _head(self._beginning(offset)).labels
                if not labels or not 0 <= labels[0] < 1 << 62 or labels[0] != int(labels[0]):
                    raise DataError(f"label {labels[:1]} is no person's number, 0, 1, 2, ...")
                numbers[row] = int(labels[0])
            except DataError as e:
                self._skip(f"record {key}", str(e))
        return numbers

    def _range(self, offset: int) -> tuple[int, int] | None:
        """(first key, key after the last) of a record that holds such a range and no picture."""
        try:
            beginning = self._beginning(offset)
            head = _head(beginning)
        except DataError:
            return None
        if len(head.labels) != 2 or head.picture != len(beginning):
            return None
        first, end = head.labels
        if not 1 <= first <= end < 1 << 53 or first != int(first) or end != int(end):
            return None
        return int(first), int(end)
