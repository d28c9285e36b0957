"""A folder of pictures as occluders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image

from ..errors import DataError
from ..images.pixels import Pixels
from ..images.reading import read_picture, shown
from ..images.skipping import Skipped, check_unreadable, folder, read_all
from .occluder import Worn

MAX_SIDE = 512  # kept no larger than this: an occluder is a few hundred pixels at most


class Pictures:
    """The pictures of `folder`, one chosen at random; alpha is kept, a picture without alpha is opaque.

    Every file but those whose names begin with a dot is read when this is built.  Raises `DataError`
    for a missing or empty folder and, with `unreadable="refuse"`, naming every file that is no picture or wholly
    transparent; with "skip" these are listed in `.skipped`.
    """

    worn = Worn(0.5, 0.6, 0.6, jitter=0.1, stretch=0.3)

    def __init__(self, *, folder: str, unreadable: str = "refuse"):
        check_unreadable(unreadable)
        root = _folder(folder, expected="pictures to cover faces with")
        paths = sorted((p for p in root.iterdir() if not p.name.startswith(".")), key=lambda p: p.name)
        read, self.skipped = _read(paths, unreadable=unreadable, where=shown(root))
        if not read:
            raise DataError(f"{shown(root)}: no pictures; expected RGB or RGBA files to cover faces with")
        self.sources = tuple(str(path) for path in read)
        self._pictures = tuple(read.values())

    def draw(self, rng: Generator, width: int) -> Pixels:
        picture = self._pictures[int(rng.integers(len(self._pictures)))]
        height = max(1, round(width * picture.height / picture.width))
        return np.array(picture.resize((width, height), Image.Resampling.BILINEAR))

    def fill(self, rng: Generator, height: int, width: int) -> Pixels:
        """A picture stretched over the rectangle, opaque."""
        picture = _opaque(self._pictures[int(rng.integers(len(self._pictures)))])
        return np.array(picture.resize((width, height), Image.Resampling.BICUBIC))

    def natural(self, rng: Generator) -> Pixels:
        """A picture at its own size, opaque."""
        return np.array(_opaque(self._pictures[int(rng.integers(len(self._pictures)))]))


_folder = folder  # the option has the function's name


def _read(paths: list[Path], *, unreadable: str, where: str) -> tuple[dict[Path, Image.Image], tuple[Skipped, ...]]:
    return read_all(paths, _occluder_picture, unreadable=unreadable, where=where)


def _opaque(picture: Image.Image) -> Image.Image:
    """With the colours that its transparent parts have, too; before resizing, which would mix them by alpha."""
    return picture.convert("RGB").convert("RGBA")


def _occluder_picture(path: Path) -> Image.Image:
    picture = read_picture(path).convert("RGBA")
    seen = picture.getchannel("A").point(lambda alpha: 255 * (alpha >= 128)).getbbox()
    if seen is None:
        raise DataError(f"{shown(path)}: wholly transparent, so it covers nothing")
    picture = picture.crop(seen)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return picture
