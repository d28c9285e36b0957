"""What is done about files that cannot be used: every one is named, and refused or skipped as asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..errors import DataError, OptionError
from .reading import shown

R = TypeVar("R")
MOST_LISTED = 20  # reasons in one message, and files with one reason


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
            "Repair or remove them, or leave them out (unreadable='skip', --unreadable skip)"
        )
    return good, tuple(bad)


def listed(bad: Iterable[Skipped]) -> str:
    """`file: reason`, one after the other; files of one reason share it, and of many the first are named."""
    sources: dict[str, list[str]] = {}
    for source, reason in bad:
        sources.setdefault(reason, []).append(shown(source))
    entries = [f"{_some(names)}: {reason}" for reason, names in sources.items()]
    more = f"; and {len(entries) - MOST_LISTED} other reasons" if len(entries) > MOST_LISTED else ""
    return "; ".join(entries[:MOST_LISTED]) + more


def _some(names: list[str]) -> str:
    most = ", ".join(names[:MOST_LISTED])
    return f"{most} and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else most


def folder(root: str | os.PathLike[str], *, expected: str) -> Path:
    """`root` as an existing folder; `DataError` saying what was expected there otherwise."""
    path = Path(root)
    if not path.exists():
        raise DataError(f"{shown(path)}: no such folder; expected {expected}")
    if not path.is_dir():
        raise DataError(f"{shown(path)}: a file where a folder was expected: {expected}")
    return path
