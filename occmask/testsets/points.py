"""Five points of every picture, from a file of comma-separated values."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..images.reading import shown

Points = NDArray[np.float64]  # (5, 2) x and y in pixels, in the order of `template_points`


def read_points(path: str | os.PathLike[str]) -> dict[str, Points]:
    """The points of a file of lines `name,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5`, by name; a header line is passed over.

    Names are those of the face set, such as person/picture.jpg; points are pixels of the aligned picture: left eye,
    right eye, tip of the nose, left and right corner of the mouth, as they lie in it.  Raises `DataError` naming the
    line that is none.
    """
    found: dict[str, Points] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if not row or (number == 1 and not _numbers(row[1:])):
                    continue
                values = _numbers(row[1:])
                if len(row) != 11 or values is None:
                    raise DataError(
                        f"{shown(path)}: line {number}: a name and ten numbers x1,y1 .. x5,y5 were expected"
                    )
                if row[0] in found:
                    raise DataError(f"{shown(path)}: line {number}: {row[0]!r} has points already")
                found[row[0]] = np.array(values).reshape(5, 2)
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise DataError(f"{shown(path)}: the points cannot be read ({e})") from e
    return found


def check_points(points: Mapping[str, Points], names: Sequence[str]) -> None:
    """Raise `DataError` naming pictures that have no points."""
    without = [name for name in names if name not in points]
    if without:
        more = f" and {len(without) - 5} more" if len(without) > 5 else ""
        raise DataError(
            f"{len(without)} of {len(names)} pictures have no points: {', '.join(map(shown, without[:5]))}{more}; "
            "add them, or leave the file out to use those of the template"
        )


def _numbers(fields: Sequence[str]) -> list[float] | None:
    try:
        values = [float(field) for field in fields]
    except ValueError:
        return None
    return values if values and np.isfinite(values).all() else None
