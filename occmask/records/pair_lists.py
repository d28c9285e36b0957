"""Lists of pairs as text: LFW's pairs.txt, comma-separated values, and `path path label` lines."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError
from ..images.reading import shown

BESIDE = ".pairs.csv"  # what the name of a list adds to that of its container
MAX_BYTES = 1 << 28  # of a list: about five million pairs
SHOWN = 5  # bad lines that a message quotes
HEADER = ("left", "right", "same")
PERSON_COLUMNS = ("left_person", "right_person")
SAME = {"1": True, "true": True, "yes": True, "0": False, "-1": False, "false": False, "no": False}
_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}")  # of a picture, or of pairs
_EXPECTED = {
    "csv": "left,right,same with same one of " + "/".join(SAME),
    "lfw": "LFW's 'name number number' (same person) or 'name number name number' (different people)",
    "paths": "'path path label' with a label of " + "/".join(SAME),
}


class ListedPair(NamedTuple):
    """One pair as it is written down: the pictures' names, and the people's where the list has them."""

    line: int  # counted from 1
    left: str
    right: str
    same: bool
    left_person: str | None = None
    right_person: str | None = None

    def __str__(self) -> str:
        return f"line {self.line} ({shown(self.left)}, {shown(self.right)})"


class _Line(NamedTuple):
    number: int
    text: str


def beside(path: str | os.PathLike[str]) -> Path:
    """Where the pairs of a container are kept: `faces.tar.pairs.csv` for `faces.tar`."""
    where = Path(path)
    return where.with_name(where.name + BESIDE)


def read_pair_list(path: str | os.PathLike[str]) -> list[ListedPair]:
    """The pairs of a text file, in its order; see `parse_pair_list`.  Raises `DataError`."""
    try:
        size = os.stat(path).st_size
        if size > MAX_BYTES:
            raise DataError(f"{shown(path)}: {size} bytes are no list of pairs; at most {MAX_BYTES} are read")
        text = Path(path).read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except (OSError, ValueError) as e:
        if isinstance(e, DataError):
            raise
        reason = e.strerror if isinstance(e, OSError) else str(e)
        raise DataError(f"{shown(path)}: the list of pairs cannot be read ({reason})") from e
    return parse_pair_list(text, shown(path))


def parse_pair_list(text: str, where: str) -> list[ListedPair]:
    r"""The pairs of a list, whose kind is seen from its lines; `where` is what messages call it.

    - Comma-separated: `left,right,same`, in the order of a header line or in this one, with the columns `left_person`
      and `right_person` if there are any.  `same` is 0/1, true/false or yes/no (-1 counts as 0).
    - LFW: `name n1 n2` (one person, pictures n1 and n2) and `name1 n1 name2 n2` (two people), separated by tabs or
      spaces, after a header `folds<TAB>pairs of each kind in a fold`, `pairs of each kind`, or none.  Picture n of a
      person is called `name/name_000n`, without an extension.
    - `path path label`, separated by tabs or spaces, labelled like `same`.

    Raises `DataError` naming the first lines that fit none of them, and where a header promises other numbers.
    """
    lines = [_Line(number, line) for number, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip()]
    if not lines:
        raise DataError(f"{where}: no pairs; expected lines of {'; or '.join(_EXPECTED.values())}")
    if lines[0].text.count(",") >= 2:
        return _comma_separated(text, where)
    header, body = _lfw_header(lines)
    as_lfw, as_paths = ([_parsed(line, parse) for line in body] for parse in (_lfw_pair, _path_pair))
    if header is not None or sum(map(bool, as_lfw)) >= sum(map(bool, as_paths)):
        pairs = _all_good(as_lfw, [(line.number, line.text) for line in body], "lfw", where)
        _check_header(header, pairs, where)
        return pairs
    return _all_good(as_paths, [(line.number, line.text) for line in body], "paths", where)


def write_pair_list(path: str | os.PathLike[str], pairs: Iterable[tuple[str, str, bool]]) -> None:
    """Write `left,right,same` lines under that header, UTF-8: what `parse_pair_list` reads back the same."""
    text = io.StringIO()
    writer = csv.writer(text)  # lines end as RFC 4180 says, so that names with either character in them are quoted
    writer.writerow(HEADER)
    writer.writerows((left, right, int(same)) for left, right, same in pairs)
    try:
        Path(path).write_bytes(text.getvalue().encode("utf-8", errors="surrogateescape"))
    except OSError as e:
        raise DataError(f"{shown(path)}: the list of pairs cannot be written ({e.strerror})") from e


def _all_good(
    parsed: Sequence[ListedPair | None], lines: Sequence[tuple[int, str]], kind: str, where: str
) -> list[ListedPair]:
    bad = [line for line, pair in zip(lines, parsed, strict=True) if pair is None]
    if bad:
        quoted = "; ".join(f"line {number}: {text.strip()[:80]!r}" for number, text in bad[:SHOWN])
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise DataError(
            f"{where}: {len(bad)} of {len(lines)} lines are no pair: {quoted}{more}; expected {_EXPECTED[kind]}"
            + (". Names with spaces need tabs between the columns, or commas" if kind != "csv" else "")
        )
    return [pair for pair in parsed if pair is not None]


# -- comma-separated -----------------------------------------------------------------------------
def _comma_separated(text: str, where: str) -> list[ListedPair]:
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if any(field.strip() for field in row):
                rows.append((reader.line_num, row))
    except csv.Error as e:
        raise DataError(f"{where}: line {reader.line_num}: not comma-separated ({e})") from e
    columns = [field.strip().lower() for field in rows[0][1]] if rows else []
    if "same" in columns:
        missing = [name for name in HEADER if name not in columns]
        if missing:
            raise DataError(f"{where}: the header has no column {', '.join(missing)}; expected {','.join(HEADER)}")
        rows = rows[1:]
    else:
        columns = [*HEADER, *PERSON_COLUMNS]
    if not rows:
        raise DataError(f"{where}: a header and no pairs")
    at = {name: columns.index(name) for name in (*HEADER, *PERSON_COLUMNS) if name in columns}
    parsed = [_row_pair(number, row, at) for number, row in rows]
    return _all_good(parsed, [(number, ",".join(row)) for number, row in rows], "csv", where)


def _row_pair(number: int, row: Sequence[str], at: dict[str, int]) -> ListedPair | None:
    found = {name: row[place] for name, place in at.items() if place < len(row)}
    same = SAME.get(found.get("same", "").strip().lower())
    if same is None or not found.get("left", "").strip() or not found.get("right", "").strip():
        return None
    left_person, right_person = (found.get(name, "").strip() or None for name in PERSON_COLUMNS)
    return ListedPair(number, found["left"], found["right"], same, left_person, right_person)


# -- tabs or spaces ------------------------------------------------------------------------------
def _parsed(line: _Line, parse: Callable[[int, list[str]], ListedPair | None]) -> ListedPair | None:
    """By tabs where they make enough columns, since names may hold spaces; by any space otherwise."""
    by_tabs = [field.strip() for field in line.text.strip().split("\t")]
    return (parse(line.number, by_tabs) if all(by_tabs) else None) or parse(line.number, line.text.split())


def _lfw_pair(number: int, fields: list[str]) -> ListedPair | None:
    if len(fields) == 3 and all(map(_NUMBER.fullmatch, fields[1:])):
        person, left, right = fields
        return ListedPair(number, _lfw_name(person, left), _lfw_name(person, right), True, person, person)
    if len(fields) == 4 and all(map(_NUMBER.fullmatch, fields[1::2])):
        person, left, other, right = fields
        return ListedPair(number, _lfw_name(person, left), _lfw_name(other, right), False, person, other)
    return None


def _path_pair(number: int, fields: list[str]) -> ListedPair | None:
    if len(fields) == 3 and fields[2].lower() in SAME:
        return ListedPair(number, fields[0], fields[1], SAME[fields[2].lower()])
    return None


def _lfw_name(person: str, number: str) -> str:
    return f"{person}/{person}_{int(number):04d}"


def _lfw_header(lines: list[_Line]) -> tuple[list[int] | None, list[_Line]]:
    fields = lines[0].text.split()
    if len(fields) <= 2 and all(map(_NUMBER.fullmatch, fields)):
        return [int(field) for field in fields], lines[1:]
    return None, lines


def _check_header(header: list[int] | None, pairs: list[ListedPair], where: str) -> None:
    if not pairs:
        raise DataError(f"{where}: a header and no pairs")
    if header is None:
        return
    folds, each = header if len(header) == 2 else (1, header[0])
    genuine = sum(pair.same for pair in pairs)
    if genuine != folds * each or len(pairs) != 2 * folds * each:
        raise DataError(
            f"{where}: the header promises {folds * each} pairs of one person and as many of two, and the lines hold "
            f"{genuine} and {len(pairs) - genuine}; complete the list, or remove its first line"
        )
