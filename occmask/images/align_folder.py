"""A folder of photographs and a file of points -> a folder of aligned faces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from ..errors import DataError
from .align import align
from .points import read_points
from .reading import read_picture, shown
from .skipping import Skipped, folder


class AlignReport(NamedTuple):
    """What became of every picture and of every line of points."""

    written: int
    skipped: tuple[Skipped, ...]


def align_folder(
    root: str | os.PathLike[str],
    points: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] = (112, 112),
    progress: bool = True,
) -> AlignReport:
    """Write every picture under `root` that has five points as `out/<same path>.png`, aligned; PNG loses nothing.

    `points` is a file for `read_points` whose names are paths below `root`.  Pictures without points, points without a
    picture, unreadable pictures and impossible points are in the report, with reasons; none of them stops the others.
    An existing file is not written over: it is skipped too.  Raises `DataError` for what cannot be read at all.
    """
    base, target = folder(root, expected="pictures, at any depth"), Path(out)
    listed, bad_lines = read_points(points)
    skipped = list(bad_lines)
    waiting = dict(listed)
    written = 0
    names = list(_files(base))
    for name in tqdm(names, desc="aligning", unit="picture", disable=not progress, dynamic_ncols=True):
        five = waiting.pop(name, None)
        if five is None:
            skipped.append(Skipped(name, "no points in the file"))
            continue
        try:
            aligned = align(read_picture(base / name), five, image_size=image_size)
            _write(Image.fromarray(aligned), target / Path(name).with_suffix(".png"))
            written += 1
        except DataError as e:
            skipped.append(Skipped(name, str(e).removeprefix(f"{shown(base / name)}: ")))
    skipped += [Skipped(name, "points without a picture") for name in waiting]
    return AlignReport(written, tuple(skipped))


def _files(base: Path) -> Iterator[str]:
    for where, folders, names in os.walk(base):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield (Path(where) / name).relative_to(base).as_posix()


def _write(picture: Image.Image, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            picture.save(file, "PNG")
    except FileExistsError:
        raise DataError(f"{shown(path)} exists already; remove it, or choose another folder to write to") from None
    except OSError as e:
        raise DataError(f"{shown(path)} cannot be written ({e.strerror or e})") from e
