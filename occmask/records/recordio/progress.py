"""How far a `.rec` has come: who is in it, and which of its records are whole when a writer was stopped."""

from __future__ import annotations

import re
from array import array
from itertools import islice
from typing import NamedTuple

import numpy as np

from ...errors import DataError
from ...images.reading import shown
from ..random_access import RandomAccessFile
from .files import RecFiles, parse_line
from .framing import record_end

EXACT = 1 << 24  # labels and keys are float32, which knows every integer up to here

_ENTRY = re.compile(rb"([0-9]{1,18})\t([0-9]{1,18})\n")  # of the index


class People:
    """Who is who so far, and where each one's records begin: a few bytes a person."""

    def __init__(self) -> None:
        self._hashes = np.zeros(1024, np.int64)  # of the names, by label; 0 where there is none
        self._last = -1
        self.starts: array[int] | None = array("q")  # keys; None once a person's records are not in one piece
        self.count = 0

    @property
    def num_classes(self) -> int:
        used = np.flatnonzero(self._hashes)
        return int(used[-1]) + 1 if len(used) else 0

    def check(self, label: int, person: str) -> None:
        if label < len(self._hashes) and self._hashes[label] not in (0, hash(person) or 1):
            raise DataError(f"label {label} is another person's, not {person!r}'s")

    def add(self, key: int, label: int, person: str) -> None:
        if label == self._last:
            return
        self._last = label
        if label >= len(self._hashes):
            longer = np.zeros(min(2 * label + 1, EXACT), np.int64)
            longer[: len(self._hashes)] = self._hashes
            self._hashes = longer
        if self._hashes[label]:
            self.starts = None
        else:
            self._hashes[label] = hash(person) or 1
            self.count += 1
        if self.starts is not None:
            self.starts.append(key)


class Ends(NamedTuple):
    """How many bytes of each file are kept."""

    rec: int
    idx: int
    lst: int


def read_back(files: RecFiles, people: People) -> tuple[int, Ends]:
    """How many whole records index and names agree about, and where they end; `people` is told of each.

    Raises `DataError` when the files were begun by somebody else.
    """
    if missing := [file for file in files[:3] if not file.exists()]:
        raise DataError(f"{shown(files.rec)}: no {missing[0].name}, so it was not begun by this writer; left as it is")
    rec, rec_end = RandomAccessFile(files.rec), 0
    offsets, any_lines = _offsets(files)
    while offsets:
        try:
            rec_end = record_end(rec, offsets[-1])
            break
        except DataError:  # the index was ahead of the records when the writer was stopped
            offsets.pop()
    if not offsets and any_lines:
        raise DataError(
            f"{shown(files.rec)}: not begun by this writer, whose .idx and .lst both name the keys 1, 2, ...; "
            "it is left as it is"
        )
    idx_end = lst_end = 0
    with open(files.idx, "rb") as idx, open(files.lst, "rb") as lst:
        for key, (indexed, named) in enumerate(islice(zip(idx, lst, strict=False), len(offsets)), 1):
            line = parse_line(named)
            if line is None:
                raise DataError(f"{shown(files.lst)}: line {key} is damaged")
            people.add(key, int(line.label), line.person)
            idx_end, lst_end = idx_end + len(indexed), lst_end + len(named)
    return len(offsets), Ends(rec_end, idx_end, lst_end)


def _offsets(files: RecFiles) -> tuple[array[int], bool]:
    """Where the records 1, 2, ... begin as long as index and names agree, and whether anything else is listed."""
    offsets = array("q")
    with open(files.idx, "rb") as idx, open(files.lst, "rb") as lst:
        for key, (indexed, named) in enumerate(zip(idx, lst, strict=False), 1):
            line, entry = parse_line(named), _ENTRY.fullmatch(indexed)
            if line is None or entry is None:
                return offsets, indexed.endswith(b"\n") and named.endswith(b"\n")
            offset = int(entry[2])
            if not int(entry[1]) == line.key == key or not line.label.isdigit() or int(line.label) >= EXACT:
                return offsets, True
            if len(offsets) and offset <= offsets[-1]:
                return offsets, True
            offsets.append(offset)
    return offsets, len(offsets) > 0
