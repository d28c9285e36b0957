"""What is done about files that cannot be used: every one is named, and refused or skipped as asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..errors import DataError, OptionError
from .reading import shown

R = TypeVar("R")
MOST_LISTED = 20  # bad files in one message


class Skipped(NamedTuple):
    """A file that was left out, and why."""

    source: str
    reason: str


def check_unreadable(unreadable: str) -> str:
    """What to do about a file that cannot be used: "refuse" or "skip"; `OptionError` otherwise."""
    if unreadable not in ("refuse", "skip"):
        raise OptionError(f"unreadable is 'refuse' or 'skip', not {unreadable!r}")
    return unreadable


def read_all(
    paths: Iterable[Path], read: Callable[[Path], R], *, unreadable: str, where: str, known_bad: Iterable[Skipped] = ()
) -> tuple[dict[Path, R], tuple[Skipped, ...]]:
    """Read every file; what raises `DataError` is collected, and skipped or refused all at once.

    `known_bad` is what the caller already found.  Raises one `DataError` of one line that names every bad file.
    """
    good: dict[Path, R] = {}
    bad = list(known_bad)
    for path in paths:
        try:
            good[path] = read(path)
        except DataError as e:
            bad.append(Skipped(str(path), str(e).removeprefix(f"{shown(path)}: ")))
    if bad and unreadable == "refuse":
        raise DataError(
            f"{len(bad)} of {len(good) + len(bad)} files under {where} cannot be used: {listed(bad)}. "
            "Repair or remove them, or pass unreadable='skip' to leave them out"
        )
    return good, tuple(bad)


def listed(bad: Iterable[Skipped]) -> str:
    """`file: reason`, one after the other, the first 20 of them, and how many there are beyond."""
    entries = [f"{shown(source)}: {reason}" for source, reason in bad]
    more = f"; and {len(entries) - MOST_LISTED} more" if len(entries) > MOST_LISTED else ""
    return "; ".join(entries[:MOST_LISTED]) + more


def folder(root: str | os.PathLike[str], *, expected: str) -> Path:
    """`root` as an existing folder; `DataError` saying what was expected there otherwise."""
    path = Path(root)
    if not path.exists():
        raise DataError(f"{shown(path)}: no such folder; expected {expected}")
    if not path.is_dir():
        raise DataError(f"{shown(path)}: a file where a folder was expected: {expected}")
    return path
