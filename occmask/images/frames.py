"""Pictures one after the other: files, folders of them, and files that hold several frames."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..errors import DataError
from .reading import FORMATS, MAX_PIXELS, read_picture, shown

VIDEO = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")  # which Pillow does not read


class Frame(NamedTuple):
    """One picture and where it comes from."""

    picture: Image.Image
    file: Path
    number: int | None  # 0, 1, ... of a file with several frames; None: the file is one picture


def files_in_order(folder: Path) -> Iterator[Path]:
    """Every file below a folder that is not hidden, numbers in names by their value: frame 2 before frame 10."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=_natural)
        for name in sorted(names, key=_natural):
            if not name.startswith("."):
                yield Path(where) / name


def num_frames(path: Path) -> int:
    """How many frames a picture file has; 1 for what cannot be read, which `frames_of` then says."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            return int(getattr(file, "n_frames", 1))
    except Exception:  # decoders raise whatever their parser stumbles over
        return 1


def frames_of(path: Path) -> Iterator[Frame]:
    """The picture of a file, or each frame of an animated GIF, WebP or PNG and each page of a TIFF.

    Raises `DataError` naming the file, and the frame, that cannot be used; the frames before it have been given.
    """
    if path.suffix.lower() in VIDEO:
        raise DataError(
            f"{shown(path)}: a video file, which is not read; write its frames to a folder first, such as by "
            "`ffmpeg -i VIDEO frames/%06d.png`"
        )
    count = num_frames(path)
    if count == 1:
        yield Frame(read_picture(path), path, None)
        return
    with Image.open(path, formats=FORMATS) as file:
        for number in range(count):
            yield Frame(_frame(file, path, number), path, number)


def all_frames(paths: Iterable[Path]) -> Iterator[Frame | DataError]:
    """The frames of many files, and in place of what cannot be read the error that says so."""
    for path in paths:
        try:
            yield from frames_of(path)
        except DataError as e:
            yield e


def _frame(file: Image.Image, path: Path, number: int) -> Image.Image:
    try:
        if file.width * file.height > MAX_PIXELS:
            raise ValueError(f"{file.width} x {file.height} pixels are more than the {MAX_PIXELS} that are read")
        file.seek(number)
        if file.mode.startswith(("I", "F")):
            raise ValueError("pages of 16-bit or floating-point pixels are not read; save them with 8 bits")
        return file.convert("RGBA" if file.has_transparency_data else "RGB")
    except Exception as e:  # decoders raise whatever their parser stumbles over
        said = " ".join(str(e).split()) or type(e).__name__
        raise DataError(f"{shown(path)}: frame {number} is truncated or damaged ({said})") from e


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key by which numbers in names count as numbers."""
    pieces = (piece for piece in re.split(r"([0-9]+)", name) if piece)
    return [(0, int(piece), "") if piece[0] in "0123456789" else (1, 0, piece) for piece in pieces]
