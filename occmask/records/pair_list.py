"""Pairs of records by name, in a table beside a container: left, right, same."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError
from ..images.reading import shown
from .names import short

COLUMNS = ["left", "right", "same"]
_SAME = {"1": True, "true": True, "0": False, "false": False}
_LONGEST = 1 << 20  # pairs are thousands; a table of records is not one of pairs


class NamedPair(NamedTuple):
    left: str
    right: str
    same: bool


def beside(path: str | os.PathLike[str]) -> Path:
    """Where the pairs of a container are kept: `faces.tar.pairs.csv` for `faces.tar`."""
    where = Path(path)
    return where.with_name(where.name + ".pairs.csv")


def write_pairs(path: Path, pairs: list[NamedPair]) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    with open(unfinished, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows((pair.left, pair.right, int(pair.same)) for pair in pairs)
    os.replace(unfinished, path)


def read_pairs(path: str | os.PathLike[str]) -> list[NamedPair]:
    """The pairs of a table with a first line `left,right,same`; further columns are not read.

    Raises `DataError` naming the first line that is no pair.
    """
    pairs: list[NamedPair] = []
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = csv.reader(file, strict=True)
            if next(rows, [])[:3] != COLUMNS:
                raise DataError(f"{shown(path)}: its first line is not {','.join(COLUMNS)}")
            for row in rows:
                if len(row) < 3 or row[2].strip().lower() not in _SAME:
                    what = short(",".join(row))
                    raise DataError(f"{shown(path)}, line {rows.line_num}: {what!r} is not left,right,same (1 or 0)")
                if len(pairs) >= _LONGEST:
                    raise DataError(f"{shown(path)}: more than {_LONGEST} pairs")
                pairs.append(NamedPair(row[0], row[1], _SAME[row[2].strip().lower()]))
    except (OSError, csv.Error) as e:
        raise DataError(f"{shown(path)}: cannot be read ({e})") from e
    if not pairs:
        raise DataError(f"{shown(path)}: no pairs")
    return pairs
