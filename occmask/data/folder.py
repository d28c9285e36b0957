"""Any folder of `identity/image` as a `FaceSet`."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DataError
from .faces import FaceSet, ReadFile, Skipped, check_unreadable, folder, set_of_files
from .images import check_image_size, shown

_LAYOUT = "one folder a person, with that person's pictures in it"


def load_folder(
    root: str | os.PathLike[str], *, image_size: tuple[int, int] = (112, 96), unreadable: str = "refuse"
) -> FaceSet:
    """The pictures of `root/identity/image`, people and files sorted by name.

    Every file is decoded once, so that a bad one is known before training begins.  With
    `unreadable="refuse"` one `DataError` names every entry that cannot be used: a damaged or foreign
    file, a file beside the people's folders, a folder inside one, a person without pictures.  With
    "skip" they are listed in `.skipped` with the reasons.  Names that begin with a dot are ignored.
    Raises `DataError` also when `root` is no folder or holds no picture at all.
    """
    check_unreadable(unreadable)
    image_size = check_image_size(image_size)
    root = folder(root, expected=_LAYOUT)
    bad: list[Skipped] = []
    files: list[tuple[str, Path]] = []
    for person in _visible(root):
        if not person.is_dir():
            bad.append(Skipped(str(person), f"not in a person's folder; expected {_LAYOUT}"))
            continue
        pictures = _visible(person)
        files += [(person.name, path) for path in pictures]
        if not pictures:
            bad.append(Skipped(str(person), "a person's folder without pictures"))
    if not files:
        raise DataError(f"{shown(root)}: no pictures; expected {_LAYOUT}")
    return set_of_files(
        files, ReadFile(image_size), image_size=image_size, unreadable=unreadable, where=shown(root), known_bad=bad
    )


def _visible(path: Path) -> list[Path]:
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    except OSError as e:
        raise DataError(f"{shown(path)}: the folder cannot be listed ({e.strerror})") from e
    return [entry for entry in entries if not entry.name.startswith(".")]
