"""Names of records, which come out of files that anybody may have written: "person/picture.jpg" and nothing else."""

from __future__ import annotations

import re
from array import array

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..images.reading import shown
from .record import check_index

MAX_FILE_NAME = 255  # bytes; the limit of every common file system
_ORDINARY_PART = r"(?!con|prn|aux|nul|com|lpt)[0-9a-z_][0-9a-z_. -]{0,254}"
_ORDINARY = re.compile(f"{_ORDINARY_PART}/{_ORDINARY_PART}", re.IGNORECASE | re.ASCII)  # most are, of millions
_REFUSED = re.compile(r"[\x00-\x1f\x7f\\]")
# Windows opens the device, not a file, whatever follows the first dot; folders of faces travel.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def encoded(name: str) -> bytes:
    """The name as UTF-8; bytes of a file name that are no UTF-8 are kept as they are."""
    return name.encode("utf-8", "surrogateescape")


def decoded(name: bytes) -> str:
    """The inverse of `encoded`."""
    return name.decode("utf-8", "surrogateescape")


def short(name: str) -> str:
    """A name for a message, however long and unprintable it is."""
    return shown(name if len(name) <= 120 else name[:80] + "..." + name[-30:])


def split_name(name: str) -> tuple[str, str]:
    """(person, picture) of "person/picture.jpg".

    Raises `DataError` for what could not be a file of that person's folder, or could be one outside it: more or fewer
    parts, "..", a part that begins with a dot, control characters, backslashes, names of devices, more than 255 bytes.
    """
    reason = why_no_name(name)
    if reason is not None:
        raise DataError(f"{short(name)}: {reason}")
    person, _, picture = name.partition("/")
    return person, picture


def why_no_name(name: str) -> str | None:
    """The reason for which `split_name` refuses a name."""
    if _ORDINARY.fullmatch(name):
        return None
    parts = name.split("/")
    if len(parts) != 2:
        return "not a name like person/picture.jpg"
    return _why_no_file_name(parts[0]) or _why_no_file_name(parts[1])


def _why_no_file_name(part: str) -> str | None:
    if not part:
        return "not a name like person/picture.jpg"
    if part.startswith("."):
        return "a name that begins with a dot"
    if _REFUSED.search(part):
        return "a name with a backslash or a control character"
    if part.split(".", 1)[0].rstrip().lower() in _DEVICES:
        return "a name that is a device on Windows"
    try:
        size = len(encoded(part))
    except UnicodeEncodeError:
        return "a name that is no Unicode text"
    return None if size <= MAX_FILE_NAME else f"a name of {size} bytes; file systems allow {MAX_FILE_NAME}"


class PackedStrings:
    """Strings in one block of memory.

    A list of a million strings takes four times as much, and each forked worker would come to own a copy of it, for
    looking at a Python object writes to it.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("q", [0])

    def append(self, text: str) -> None:
        self._text += encoded(text)
        self._ends.append(len(self._text))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        check_index(index, len(self))
        return decoded(bytes(self._text[self._ends[index] : self._ends[index + 1]]))


class NameIndex:
    """The names of a container's records while it is opened, and whose they are; no name twice."""

    def __init__(self) -> None:
        self.names = PackedStrings()
        self._seen: set[str] = set()
        self._people: dict[str, int] = {}
        self._labels = array("q")

    def add(self, name: str) -> bool:
        """Add the record of a name that was checked; False when there is one of that name."""
        if name in self._seen:
            return False
        self._seen.add(name)
        self.names.append(name)
        self._labels.append(self._people.setdefault(name.partition("/")[0], len(self._people)))
        return True

    def people_and_labels(self, *, by_number: bool = False) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """People sorted by name, and the label of every record, once all are added.

        `by_number` sorts them by number when every name is one, so that "10" comes after "9".
        """
        self._seen = set()
        people = sorted(self._people)
        if by_number and all(person.isascii() and person.isdigit() and len(person) <= 18 for person in people):
            people.sort(key=int)
        label = np.empty(len(people), np.int64)
        label[[self._people[person] for person in people]] = np.arange(len(people))
        return tuple(people), label[np.frombuffer(self._labels, np.int64)] if len(self._labels) else label[:0]
