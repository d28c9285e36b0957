"""`occmask list`: names, without importing any component."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from fnmatch import fnmatch

from ..catalogue import KINDS
from ..plugin_metadata import distribution_of

_EVERYTHING = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", help="a shell pattern, such as 'from_*'")
    parser.add_argument(
        "--kind",
        default="model",
        choices=[*KINDS, _EVERYTHING],
        metavar="KIND",
        help=f"what to list: {', '.join(KINDS)}; or {_EVERYTHING} (default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON list; with --kind all, by kind, each name with its plug-in"
    )


def run(arguments: argparse.Namespace) -> None:
    if arguments.kind == _EVERYTHING:
        _list_everything(arguments)
        return
    names = _names(arguments.kind, arguments.pattern)
    print(json.dumps(names) if arguments.json else "\n".join(names))
    if not arguments.json:
        # The names alone are what scripts read; whose they are is for people.
        asked = KINDS if (arguments.kind, arguments.pattern) == ("model", "*") else [arguments.kind]
        _tell_plugins(asked, arguments.pattern)


def _list_everything(arguments: argparse.Namespace) -> None:
    found = {kind: {name: _owner(kind, name) for name in _names(kind, arguments.pattern)} for kind in KINDS}
    if arguments.json:
        print(json.dumps(found))
        return
    for kind, names in found.items():
        if names or arguments.pattern == "*":
            print(kind)
            width = max((len(name) for name in names), default=0)
            for name, owner in names.items():
                print(f"  {name:<{width}}  ({owner})" if owner else f"  {name}")
            if not names:
                print("  (none; plug-ins bring them)")


def _tell_plugins(kinds: Iterable[str], pattern: str) -> None:
    """One line a plug-in to standard error: which names are its own."""
    told: dict[str, list[str]] = {}
    for kind in kinds:
        for name in _names(kind, pattern):
            owner = _owner(kind, name)
            if owner is not None:
                told.setdefault(owner, []).append(f"{kind} {name}")
    for owner, names in told.items():
        print(f"from plug-in {owner}: {', '.join(names)}", file=sys.stderr)


def _names(kind: str, pattern: str) -> list[str]:
    return [name for name in KINDS[kind] if fnmatch(name, pattern)]


def _owner(kind: str, name: str) -> str | None:
    """The distribution that a name comes from, all of them if they clash; None: occmask itself."""
    registry = KINDS[kind]
    if registry.is_builtin(name) or name not in registry.claims:
        return None
    owners = dict.fromkeys(distribution_of(entry) for entry in registry.claims[name])
    return f"{' and '.join(owners)}: they clash" if registry.clash(name) else " and ".join(owners)
