"""The files around a `.rec`: where its records begin, what it was declared to hold, what its pictures are called."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...images.reading import shown
from ..names import decoded, why_no_name
from ..random_access import RandomAccessFile

EXPECTED = "an InsightFace folder (train.rec, train.idx), its .rec or its .idx"
LINE = 8192  # bytes that a line of these files may have
_MANY_LINES = 1 << 20  # bytes of whole lines looked at together


class RecFiles(NamedTuple):
    """The `.rec` and the files that belong to it, whether they exist or not."""

    rec: Path
    idx: Path
    lst: Path
    property: Path

    @classmethod
    def beside(cls, rec: Path) -> RecFiles:
        return cls(rec, rec.with_suffix(".idx"), rec.with_suffix(".lst"), rec.with_name("property"))

    @classmethod
    def found_at(cls, path: str | os.PathLike[str]) -> RecFiles:
        """Those of a folder with one `.rec` (or a `train.rec`), of a `.rec` or of an `.idx`; `DataError` otherwise."""
        where = Path(path)
        try:
            if where.is_dir():
                return cls.beside(_rec_of(where))
        except OSError as e:
            raise DataError(f"{shown(where)}: cannot be read ({e.strerror})") from e
        if where.suffix not in (".rec", ".idx"):
            raise DataError(f"{shown(where)}: not {EXPECTED}")
        return cls.beside(where.with_suffix(".rec"))


def _rec_of(folder: Path) -> Path:
    found = sorted(entry for entry in folder.iterdir() if entry.suffix == ".rec" and not entry.name.startswith("."))
    train = folder / "train.rec"
    if len(found) == 1 or train in found:
        return train if train in found else found[0]
    names = ", ".join(shown(entry.name) for entry in found)
    raise DataError(
        f"{shown(folder)}: {f'several .rec files ({names}); name one of them' if found else f'no .rec; not {EXPECTED}'}"
    )


class Property(NamedTuple):
    """What InsightFace's file `property` says: the number of people, and the size of the pictures."""

    num_classes: int
    image_size: tuple[int, int]  # height, width


def read_property(path: Path) -> Property | None:
    """Line one of the file, `num_classes,height,width`; None when there is no such file, `DataError` when it is bad."""
    if not path.exists():
        return None
    line = RandomAccessFile(path).read(0, LINE).split(b"\n")[0]
    try:
        num_classes, height, width = (int(number) for number in line.decode("ascii").split(","))
        if min(num_classes, height, width) < 0:
            raise ValueError(line)
    except ValueError:
        raise DataError(
            f"{shown(path)}: not 'num_classes,height,width'; correct it, or remove it, for it is not needed"
        ) from None
    return Property(num_classes, (height, width))


_INDEX = re.compile(rb"(?:[0-9]{1,19}\t[0-9]{1,19}\r?\n)*+")


def read_index(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The keys and offsets of an `.idx` (lines `key TAB offset`), as they stand there; `DataError` otherwise."""
    numbers = [np.empty(0, np.int64)]
    for position, text in _whole_lines(path):
        try:
            if not _INDEX.fullmatch(text if text.endswith(b"\n") else text + b"\n"):
                raise ValueError("other lines")
            numbers.append(np.array(text.split(), dtype="S19").astype(np.int64))
        except (ValueError, OverflowError):
            raise DataError(f"{shown(path)}: after byte {position} not lines of 'key TAB offset'") from None
    pairs = np.concatenate(numbers).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The file in pieces that end at the end of a line, and where they begin."""
    file = RandomAccessFile(path)
    position = 0
    while position < file.size:
        text = file.read(position, _MANY_LINES)
        if position + len(text) < file.size:
            text = text[: text.rfind(b"\n") + 1]
        if not text:
            raise DataError(f"{shown(path)}: no line ends within {_MANY_LINES} bytes after byte {position}")
        yield position, text
        position += len(text)


class NamedLine(NamedTuple):
    """One line of an im2rec `.lst`."""

    key: int
    label: bytes  # the first, where there are several
    name: str  # "person/picture"

    @property
    def person(self) -> str:
        return self.name.partition("/")[0]


_LINE = re.compile(rb"([0-9]{1,18})\t([0-9.eE+]{1,40})\t(?:[^\t\n]*\t)*([^\t\n]+)\n")


def parse_line(line: bytes) -> NamedLine | None:
    """`key TAB label ... TAB person/picture` and the end of the line; None for anything else."""
    found = _LINE.fullmatch(line)
    if found is None or why_no_name(decoded(found[3])) is not None:
        return None
    return NamedLine(int(found[1]), found[2], decoded(found[3]))


@dataclass(frozen=True, eq=False)
class ListedNames:
    """The names of N records, read from the `.lst` when they are asked for."""

    file: RandomAccessFile
    positions: NDArray[np.int64]  # (N,) of the records' lines

    def __getitem__(self, index: int) -> str:
        line = parse_line(self.file.read(int(self.positions[index]), LINE).partition(b"\n")[0] + b"\n")
        if line is None:
            raise DataError(f"{shown(self.file.path)}: changed since it was opened")
        return line.name


def listed_names(path: Path, keys: NDArray[np.int64], labels: NDArray[np.int64]) -> ListedNames | str:
    """The names that an im2rec `.lst` gives the records of sorted `keys` (N,); or why it names none of them.

    It must name all of them `person/picture`, each differently, and people must be to labels (N,) one to one.
    """
    if not path.exists():
        return f"there is no {path.name}"
    file = RandomAccessFile(path)
    listed, positions, names, people = array("q"), array("q"), array("q"), array("q")
    with open(path, "rb") as text:
        for number, (position, content) in enumerate(_lines_of(text), 1):
            line = parse_line(content)
            if line is None:
                return f"line {number} of {path.name} is not 'key TAB label TAB person/picture'"
            listed.append(line.key)
            positions.append(position)
            names.append(hash(line.name))
            people.append(hash(line.person))
    if not len(listed):
        return f"{path.name} is empty"
    key = np.frombuffer(listed, np.int64)
    order = np.argsort(key, kind="stable")
    line_of = order[np.minimum(np.searchsorted(key, keys, sorter=order), len(key) - 1)]
    missing = int((key[line_of] != keys).sum())
    if missing:
        return f"{path.name} does not name {missing} of the {len(keys)} records"
    # By 64-bit hashes: two names of one hash would at worst be called equal, and the records numbered.
    if len(np.unique(np.frombuffer(names, np.int64)[line_of])) < len(keys):
        return f"{path.name} names two records alike"
    person = np.frombuffer(people, np.int64)[line_of]
    known, first = np.unique(labels, return_index=True)
    one_to_one = len(np.unique(person[first])) == len(known)
    if not one_to_one or (person != person[first][np.searchsorted(known, labels)]).any():
        return f"the people of {path.name} are not those of the labels"
    return ListedNames(file, np.frombuffer(positions, np.int64)[line_of])


def _lines_of(text: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(position, line); a line beyond the limit comes cut, and the last one with an end."""
    position = 0
    while line := text.readline(LINE):
        yield position, line if len(line) == LINE or line.endswith(b"\n") else line + b"\n"
        position += len(line)
