"""A folder of `person/picture` files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..images.reading import read_bytes, shown
from ..images.skipping import Skipped, folder
from .record import Record

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
        return f"{self.people[int(self.labels[index])]}/{self._files[index]}"

    def path(self, index: int) -> Path:
        """Where a record's file lies."""
        return self.root / self.people[int(self.labels[index])] / self._files[index]

    def __getitem__(self, index: int) -> Record:
        name = self.name(index)
        return Record(name, int(self.labels[index]), read_bytes(self.path(index), name=shown(name)))


def _visible(path: Path) -> list[Path]:
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    except OSError as e:
        raise DataError(f"{shown(path)}: the folder cannot be listed ({e.strerror})") from e
    return [entry for entry in entries if not entry.name.startswith(".")]
