"""What installed plug-ins declare, read from their metadata alone: nothing of theirs is imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import NamedTuple

PREFIX = "occmask."  # of every group of entry points that is ours
COMMANDS_GROUP = "occmask.commands"

_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_OBJECT, _MODULE = re.compile(f"{_DOTTED}:{_DOTTED}"), re.compile(_DOTTED)


class Unreadable(NamedTuple):
    """A distribution whose entry points cannot be read."""

    distribution: Distribution
    reason: str


class Declared(NamedTuple):
    """Entry points of all `occmask.` groups in the order of their distributions' names, and who declares rubbish."""

    entries: tuple[EntryPoint, ...]
    unreadable: tuple[Unreadable, ...]

    def of_group(self, group: str) -> tuple[EntryPoint, ...]:
        return tuple(entry for entry in self.entries if entry.group == group)


def declared() -> Declared:
    """What every distribution on `sys.path` declares; where one is found twice, the first counts."""
    return _read(tuple(sys.path))


def distribution_of(entry: EntryPoint) -> str:
    """The name of the distribution that declares an entry point."""
    return entry.dist.name if entry.dist else "?"


def is_let_in(distribution: str) -> bool:
    """Whether OCCMASK_PLUGINS lets a distribution take part: all, none, or a comma-separated list of names."""
    allowed = os.environ.get("OCCMASK_PLUGINS", "all").strip()
    return allowed == "all" or (
        allowed not in ("0", "none") and distribution in [name.strip() for name in allowed.split(",")]
    )


def malformed(entry: EntryPoint) -> str | None:
    """What is wrong with the way an entry point is written; None: nothing."""
    if entry.group == COMMANDS_GROUP:
        if not _MODULE.fullmatch(entry.value):
            return f"it is written {entry.value!r}, and a command is a module: 'package.module'"
    elif not _OBJECT.fullmatch(entry.value):
        return f"it is written {entry.value!r}, and a component is 'module:attribute'"
    return None


def clash_between(what: str, name: str, entries: Sequence[EntryPoint]) -> str | None:
    """What is wrong when entry points of one name lead to different places; None: they do not."""
    if len({entry.value for entry in entries}) < 2:
        return None
    first, *others = dict.fromkeys(distribution_of(entry) for entry in entries)
    if not others:
        return f"plug-in {first!r} calls two different things {what} {name!r}"
    return (
        f"plug-ins {first!r} and {' and '.join(map(repr, others))} both call a {what} {name!r}; "
        f"uninstall one, or choose by the variable OCCMASK_PLUGINS={first}"
    )


@lru_cache(maxsize=4)
def _read(path: tuple[str, ...]) -> Declared:
    """One look at the metadata for all groups; `path` is what it depends on."""
    entries: list[EntryPoint] = []
    unreadable, seen = [], set()
    for distribution in distributions(path=list(path)):
        if PREFIX not in (distribution.read_text("entry_points.txt") or ""):
            continue
        name = distribution.metadata["Name"] or "?"
        if name in seen:
            continue
        seen.add(name)
        try:
            entries += [entry for entry in distribution.entry_points if entry.group.startswith(PREFIX)]
        except Exception as e:  # whatever the parser makes of a file that no tool wrote
            unreadable.append(Unreadable(distribution, f"its entry_points.txt cannot be read: {e}"))
    entries.sort(key=lambda entry: (distribution_of(entry), entry.group, entry.name))
    return Declared(tuple(entries), tuple(unreadable))
