"""Files of five points: one line a picture, as face detectors' users write them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from .align import Points, check_points
from .reading import shown
from .skipping import Skipped

NUMBERS = 10  # x and y of five points


class PointsFile(NamedTuple):
    """The points of a file by picture, and the lines that hold none."""

    points: dict[str, Points]  # name -> (5, 2)
    skipped: tuple[Skipped, ...]


def read_points(path: str | os.PathLike[str]) -> PointsFile:
    """Read lines `picture x1 y1 ... x5 y5`, separated by commas, tabs or blanks; what follows is ignored.

    The order is left eye, right eye, nose, left and right corner of the mouth, as seen in the picture.  Names may hold
    blanks where commas or tabs separate.  A header, empty lines and lines that begin with # are passed over; every
    other line that gives no five points is in `skipped` with its number.  Of a picture named twice with different
    points neither line is used.  Raises `DataError` for a file that cannot be read or holds no points at all.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"{shown(path)}: cannot be read as text ({e})") from e
    found: dict[str, Points] = {}
    skipped: list[Skipped] = []
    twice: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#") or (number == 1 and _is_header(line)):
            continue
        where = f"{shown(path)}, line {number}"
        try:
            name, points = _read_line(line)
        except DataError as e:
            skipped.append(Skipped(where, str(e)))
            continue
        if name in found and not np.array_equal(found[name], points):
            twice.add(name)
            skipped.append(Skipped(where, f"{shown(name)} has other points in an earlier line; neither is used"))
        found[name] = points
    points_of = {name: points for name, points in found.items() if name not in twice}
    if not points_of:
        told = f"; line by line: {'; '.join(f'{s.source}: {s.reason}' for s in skipped[:3])}" if skipped else ""
        raise DataError(f"{shown(path)}: no line holds a picture and five points, x1 y1 ... x5 y5{told}")
    return PointsFile(points_of, tuple(skipped))


def _fields(line: str) -> list[str]:
    for separator in ("\t", ","):
        if separator in line:
            return [field.strip() for field in line.split(separator)]
    return line.split()


def _is_header(line: str) -> bool:
    return not any(re.fullmatch(r"[-+]?\d.*", field) for field in _fields(line)[1:])


def _read_line(line: str) -> tuple[str, Points]:
    name, *fields = _fields(line)
    if not name or len(fields) < NUMBERS:
        raise DataError(f"a name and {NUMBERS} numbers are expected, not {len(fields)} after the name")
    try:
        numbers = [float(field) for field in fields[:NUMBERS]]
    except ValueError as e:
        raise DataError(f"x1 y1 ... x5 y5 are numbers ({e})") from e
    return name, check_points(np.array(numbers).reshape(5, 2))
