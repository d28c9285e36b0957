"""Pictures named in a text file, a line each: a path, a path and a label, or im2rec's index, label and path."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..errors import DataError
from ..images.reading import read_bytes, shown
from ..images.skipping import Skipped
from .extension import EXTENSIONS, HEAD, UNKNOWN, extension_of
from .names import NameIndex, PackedStrings, decoded, short, split_name
from .random_access import open_file
from .reading import no_pictures, skip
from .record import Record

LAYOUT = "a text file with a line `path`, `path label` or `index<TAB>label<TAB>path` for each picture"
LONGEST_LINE = 16384  # bytes


class _Line(NamedTuple):
    form: str
    path: str
    person: str


class ListReader:
    """The pictures that a list names, in its order; people sorted by name, or by number if all are numbers.

    A line is `path<TAB>label`, `path label` (a label of one word), im2rec's `index<TAB>label<TAB>path` (the first of
    several labels), or `path` alone: the person is then the folder it is in.  A `.csv` has commas, and may have a
    first line `path,label`.  All lines are in the form of the first; others, and lines that cannot be used, are in
    `.skipped` by number; empty lines and those that begin with `#` are ignored.  Paths are relative to `root`, or to
    the list's folder.  A record is named `person/file`, with the line's number when that name is taken.  Opening does
    not look at the pictures.  Raises `DataError` when no line names a picture.
    """

    def __init__(self, path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None):
        self.path = Path(path)
        self.root = Path(root) if root is not None else self.path.parent
        self.skipped: list[Skipped] = []
        self._paths = PackedStrings()
        index = NameIndex()
        self._read(index)
        self._names = index.names
        self.people, self.labels = index.people_and_labels(by_number=True)
        if not len(self):
            raise no_pictures(path, self.skipped, expected=LAYOUT)

    def _read(self, index: NameIndex) -> None:
        form: str | None = None
        listed: set[str] = set()
        for number, text in _lines(self.path):
            try:
                line = _fields(text, commas=self.path.suffix.lower() == ".csv")
                if line is None:
                    continue
                form = form or line.form
                if line.form != form:
                    raise DataError(f"{line.form}, where the lines before are {form}")
                if line.path in listed:
                    raise DataError(f"{short(line.path)} is listed before")
                self._add(index, line, number)
                listed.add(line.path)
            except DataError as e:
                skip(self.skipped, f"{self.path}:{number}", str(e))

    def _add(self, index: NameIndex, line: _Line, number: int) -> None:
        file = PurePosixPath(line.path)
        for picture in (file.name, f"{file.stem}-{number}{file.suffix}"):
            name = f"{line.person}/{picture}"
            split_name(name)
            if index.add(name):
                self._paths.append(line.path)
                return
        raise DataError(f"{short(picture)} is listed before")

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        return self._names[index]

    def file(self, index: int) -> Path:
        """Where a record's picture lies."""
        return self.root / self._paths[index]

    def __getitem__(self, index: int) -> Record:
        name = self._names[index]
        file = self.file(index)
        called = f"{short(name)} ({short(str(file))})"
        image = read_bytes(file, name=called)
        if extension_of(image[:HEAD]) == UNKNOWN:  # a list may name any file of the machine
            raise DataError(f"{called}: not a picture by its first bytes")
        return Record(name, int(self.labels[index]), image)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number, text) of every line that says something; a line that is too long comes shortened to its beginning."""
    with os.fdopen(open_file(path), "rb") as file:
        beginning = file.read(4096)
        if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError(f"{shown(path)}: UTF-16 text; save the list as UTF-8")
        if b"\0" in beginning:
            raise DataError(f"{shown(path)}: not a text file; expected {LAYOUT}")
        file.seek(3 if beginning.startswith(b"\xef\xbb\xbf") else 0)
        number = 0
        while line := file.readline(LONGEST_LINE + 2):
            number += 1
            rest = line
            while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
                rest = file.readline(LONGEST_LINE + 2)
            text = line.strip(b" \r\n")
            if text.strip() and not text.startswith(b"#"):
                yield number, text


def _fields(text: bytes, *, commas: bool) -> _Line | None:
    """What one line says; None for the first line of a table, `DataError` when it says nothing that is understood."""
    if len(text) > LONGEST_LINE:
        raise DataError(f"a line of more than {LONGEST_LINE} bytes")
    line = decoded(text)
    if "\0" in line:
        raise DataError("a line with a zero byte")
    fields = [field.strip() for field in (_csv(line) if commas else line.split("\t"))]
    if commas and fields[0].lower() in ("path", "index"):
        return None
    if len(fields) == 1:
        words = line.rsplit(None, 1)
        if not commas and len(words) == 2 and not words[1].lower().endswith(EXTENSIONS):
            fields = words
        else:
            return _Line("path", fields[0], _folder_of(fields[0]))
    if not all(fields):
        raise DataError("an empty field")
    if len(fields) == 2:
        return _Line("path and label", fields[0], _whole(fields[1]))
    if not fields[0].isdigit() or not all(_is_number(label) for label in fields[1:-1]):
        raise DataError(f"{len(fields)} fields that are not index, label and path")
    return _Line("index, label and path", fields[-1], _whole(fields[1]))


def _csv(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration) as e:
        raise DataError(f"not a line of a .csv ({e})") from None


def _folder_of(path: str) -> str:
    person = PurePosixPath(path).parent.name
    if not person:
        raise DataError(f"{short(path)}: neither a label nor a folder that would name the person")
    return person


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1 << 53
    except ValueError:
        return False


def _whole(label: str) -> str:
    """im2rec writes label 17 as 17.000000."""
    whole, point, zeros = label.partition(".")
    return whole if point and whole.isdigit() and not zeros.strip("0") else label
