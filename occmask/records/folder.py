"""A folder of `person/picture` files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..images.reading import read_bytes, shown
from ..images.skipping import Skipped, folder
from .names import short
from .record import Record, check_index
from .writing import Writing, check_free, check_record

LAYOUT = "one folder a person, with that person's pictures in it"


class FolderReader:
    """The files of `root/person/picture`, people and pictures sorted by name.

    A file beside the people's folders, a folder inside one and a person without pictures are in `.skipped`; names
    that begin with a dot are ignored.  Raises `DataError` when `root` is no folder, cannot be listed or
    holds no picture.
    """

    def __init__(self, root: str | os.PathLike[str]):
        self.root = folder(root, expected=LAYOUT)
        self.skipped: list[Skipped] = []
        people: list[str] = []
        self._files: list[str] = []
        labels: list[int] = []
        for person in _visible(self.root):
            if not person.is_dir():
                self.skipped.append(Skipped(str(person), f"not in a person's folder; expected {LAYOUT}"))
                continue
            pictures = _visible(person)
            if not pictures:
                self.skipped.append(Skipped(str(person), "a person's folder without pictures"))
                continue
            labels += [len(people)] * len(pictures)
            people.append(person.name)
            self._files += [picture.name for picture in pictures]
        if not people:
            raise DataError(f"{shown(self.root)}: no pictures; expected {LAYOUT}")
        self.people = tuple(people)
        self.labels = np.array(labels, np.int64)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        check_index(index, len(self))
        return f"{self.people[int(self.labels[index])]}/{self._files[index]}"

    def path(self, index: int) -> Path:
        """Where a record's file lies."""
        return self.root / self.name(index)

    def __getitem__(self, index: int) -> Record:
        name = self.name(index)
        return Record(name, int(self.labels[index]), read_bytes(self.path(index), name=shown(name)))


class FolderWriter(Writing):
    """Writes `root/person/picture`, each file under another name first, so that it is whole or not there.

    Names are not trusted: a record whose name is anything but `person/picture`, or is taken, is refused with
    `DataError`.  There is nothing to keep in memory, and nothing to finish.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool = False):
        self.root = Path(path)
        check_free(self.root, resume=resume)
        self.root.mkdir(parents=True, exist_ok=True)
        self._unfinished = self.root / ".unfinished"
        self._unfinished.unlink(missing_ok=True)
        self._person: str | None = None  # whose folder is known to be there
        self.written = sum(len(os.listdir(entry)) for entry in os.scandir(self.root) if _is_folder(entry.path))

    def write(self, record: Record, person: str) -> None:
        person, picture = check_record(record, person)
        target = self.root / person / picture
        try:
            self._make_folder(person)
            if os.path.lexists(target):
                raise DataError(f"{short(record.name)}: a second record of that name")
            self._unfinished.write_bytes(record.image)
            os.replace(self._unfinished, target)
        except OSError as e:
            if e.errno in _NAME_REFUSED:
                raise DataError(f"{short(record.name)}: not a file name here ({e.strerror})") from e
            raise
        self.written += 1

    def _make_folder(self, person: str) -> None:
        if person == self._person:
            return
        path = self.root / person
        if not _is_folder(path):
            path.mkdir()
        self._person = person

    def checkpoint(self) -> None:
        """Nothing to do: every file is whole as soon as it has its name."""

    def close(self) -> None:
        """Nothing to do: every file is whole as soon as it has its name."""

    def leave(self) -> None:
        self._unfinished.unlink(missing_ok=True)


_NAME_REFUSED = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EEXIST)


def _is_folder(path: str | os.PathLike[str]) -> bool:
    """A folder and no link to one, which might lead anywhere."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _visible(path: Path) -> list[Path]:
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    except OSError as e:
        raise DataError(f"{shown(path)}: the folder cannot be listed ({e.strerror})") from e
    return [entry for entry in entries if not entry.name.startswith(".")]
