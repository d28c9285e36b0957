"""The pictures that a list of pairs names: files under a folder, or records of a container."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..images.pixels import Pixels, sized
from ..images.reading import decode_picture, read_bytes, shown
from ..images.skipping import Skipped
from .faces import Pictures
from .sources import load_faces


@dataclass(frozen=True)
class FilePictures:
    """Picture files, each under its own name; `resize` allows another size than the model's."""

    paths: Sequence[Path]
    names: Sequence[str]
    image_size: tuple[int, int]
    resize: bool

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self.names[index]

    def read(self, index: int) -> Pixels:
        name = shown(self.names[index])
        picture = decode_picture(read_bytes(self.paths[index], name=name), name)
        return sized(picture, self.image_size, name, resize=self.resize)


class NamedPictures(NamedTuple):
    """Where the pictures of a list were found: `rows` has the number in `pictures` of every name that was."""

    pictures: Pictures
    rows: dict[str, int]
    missing: tuple[Skipped, ...]
    labels: NDArray[np.int64] | None  # of all of `pictures`, indices of `people`; None where nobody knows
    people: tuple[str, ...] = ()
    template: str = "arcface"


def find_pictures(
    names: Iterable[str], root: str | os.PathLike[str], *, image_size: tuple[int, int], resize: bool
) -> NamedPictures:
    """Look up names under `root`: a folder (of any depth), a container in any format, or "orl".

    A name is taken as it is, else without blanks around it, with slashes for backslashes and without `.` and `..`,
    else as the only picture that has this name and an extension.  Names that are found nowhere, or twice, are in
    `.missing`.  Raises `DataError` when `root` is neither.
    """
    if root != "orl" and os.path.isdir(root):
        found = _find_files(names, Path(root), image_size=image_size, resize=resize)
        if found.rows:
            return found
        try:  # some containers are folders
            return _find_records(names, root, image_size=image_size, resize=resize)
        except DataError:
            return found
    return _find_records(names, root, image_size=image_size, resize=resize)


def spellings(name: str) -> tuple[str, ...]:
    """A name as it is, and as it was probably meant."""
    return name, posixpath.normpath(name.strip().replace("\\", "/"))


def _find_files(names: Iterable[str], root: Path, *, image_size: tuple[int, int], resize: bool) -> NamedPictures:
    folders: dict[str, dict[str, list[str]]] = {}
    numbers: dict[str, int] = {}  # of what was found: its name -> its number
    rows: dict[str, int] = {}
    missing: list[Skipped] = []
    for name in names:
        found = next((name for name in spellings(name) if os.path.isfile(root / name)), None)
        if found is None:
            folder, stem = posixpath.split(spellings(name)[-1])
            if folder not in folders:
                folders[folder] = _by_stem(_files_in(root / folder))
            candidates = folders[folder].get(stem, [])
            if len(candidates) != 1:
                missing.append(Skipped(name, _why_not(candidates)))
                continue
            found = posixpath.join(folder, candidates[0])
        rows[name] = numbers.setdefault(posixpath.normpath(found), len(numbers))
    pictures = FilePictures(tuple(root / name for name in numbers), tuple(numbers), image_size, resize)
    return NamedPictures(pictures, rows, tuple(missing), None)


def _find_records(
    names: Iterable[str], root: str | os.PathLike[str], *, image_size: tuple[int, int], resize: bool
) -> NamedPictures:
    # What is wrong with pictures that no pair names is nobody's concern here
    faces = load_faces(root, image_size=image_size, resize=resize, unreadable="skip", verify=False)
    numbers = {faces.name(index): index for index in range(len(faces))}
    stems = _by_stem(numbers)
    rows: dict[str, int] = {}
    missing: list[Skipped] = []
    for name in names:
        candidates = [found for found in spellings(name) if found in numbers][:1] or stems.get(spellings(name)[-1], [])
        if len(candidates) == 1:
            rows[name] = int(faces.rows[numbers[candidates[0]]])
        else:
            missing.append(Skipped(name, _why_not(candidates)))
    labels = np.zeros(len(faces.pictures), np.int64)
    labels[faces.rows] = faces.labels
    return NamedPictures(faces.pictures, rows, tuple(missing), labels, faces.people, faces.template)


def _files_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except (OSError, ValueError):
        return []


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(posixpath.splitext(name)[0], []).append(name)
    return stems


def _why_not(candidates: Sequence[str]) -> str:
    return f"{len(candidates)} pictures could be meant: {', '.join(candidates)}" if candidates else "no such picture"
