"""What the readers of all containers share: how they tell what is no record of theirs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import DataError
from ..images.reading import shown
from ..images.skipping import Skipped
from .names import short

MOST_SKIPPED = 100_000  # entries that are listed one by one; a file of nothing else is not what it is taken for


def skip(skipped: list[Skipped], source: str, reason: str) -> None:
    """Note what is left out; `DataError` when it is more than could be damage."""
    if len(skipped) >= MOST_SKIPPED:
        raise DataError(f"{short(source)}: {reason}; with {MOST_SKIPPED} others before it, these are no records")
    skipped.append(Skipped(source, reason))


def no_pictures(path: str | os.PathLike[str], skipped: Sequence[Skipped], *, expected: str) -> DataError:
    """The error of a container without a record, with the first reason why."""
    why = f"; {short(skipped[0].source)}: {skipped[0].reason}" if skipped else ""
    return DataError(f"{shown(path)}: no pictures{why}; expected {expected}")
