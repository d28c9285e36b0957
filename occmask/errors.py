"""Every error a user can cause, each saying what was wrong and what would have worked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`" Did you mean 'from_r50'?"`, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


class OccmaskError(Exception):
    """Base class: `except occmask.OccmaskError` catches everything the library raises on purpose."""


class UnknownNameError(OccmaskError, KeyError):
    """A registry has no component of that name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        self.kind, self.name, self.known = kind, name, sorted(known)
        hint = did_you_mean(name, self.known)
        super().__init__(f"no {kind} is called {name!r}.{hint} Known: {', '.join(self.known) or '(none)'}")

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:  # an exception pickles its message otherwise
        return type(self), (self.kind, self.name, self.known)


class DuplicateNameError(OccmaskError, ValueError):
    """Two components claim one name."""


class OptionError(OccmaskError, TypeError, ValueError):
    """A component or a command has no such option, or the option's value cannot be used."""


class PluginError(OccmaskError, ImportError):
    """A plug-in was asked for and failed to load."""


class ShapeError(OccmaskError, ValueError):
    """A tensor or an array has the wrong shape or type for what it was given to."""


class DataError(OccmaskError, ValueError):
    """A file or a data set cannot be used."""


class CheckpointError(OccmaskError, ValueError):
    """A weights file cannot be read, or does not fit the model; the model is unchanged."""


class TrainingError(OccmaskError, RuntimeError):
    """Training cannot start or cannot go on; the last good checkpoint is kept."""


class ProtocolError(OccmaskError, ValueError):
    """An evaluation protocol cannot be run on, or cannot be resolved by, the data it was given."""
