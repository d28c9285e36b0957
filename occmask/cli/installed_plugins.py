"""What plug-ins are installed, what they bring, and what of it is broken."""

from __future__ import annotations

import json
import sys
import time
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint
from typing import Any

from ..catalogue import KINDS
from ..errors import OccmaskError, did_you_mean
from ..plugin_metadata import COMMANDS_GROUP, clash_between, declared, distribution_of, is_let_in, malformed
from .plugin_commands import claimed_commands, import_command

_GROUPS = {**{registry.group: kind for kind, registry in KINDS.items()}, COMMANDS_GROUP: "command"}


@dataclass(frozen=True, kw_only=True)
class InstalledComponent:
    """One entry point of a plug-in. `problem` says in one line why it cannot be used; None: nothing known."""

    kind: str | None  # as in `occmask list --kind`, or "command"; None: a group that occmask does not know
    group: str
    name: str
    leads_to: str  # "module:attribute", or the module of a command
    problem: str | None = None
    seconds: float | None = None  # that importing it took; None: not tried


@dataclass(frozen=True, kw_only=True)
class InstalledPlugin:
    """One distribution with entry points of occmask's."""

    distribution: str
    version: str
    location: str
    editable: bool  # changes of its files there count at the next start
    let_in: bool  # by OCCMASK_PLUGINS
    components: tuple[InstalledComponent, ...] = ()
    problem: str | None = None  # of the whole distribution

    @property
    def problems(self) -> list[str]:
        """What is broken, one line each."""
        of_components = [f"{c.kind or c.group} {c.name}: {c.problem}" for c in self.components if c.problem]
        return [self.problem, *of_components] if self.problem else of_components


@dataclass
class _Found:
    distribution: Distribution
    entries: list[EntryPoint] = field(default_factory=list)


def installed_plugins(*, builtin_commands: dict[str, str], load: bool) -> list[InstalledPlugin]:
    """Every distribution that declares an `occmask.` entry point, in the order of their names.

    `load` imports what they lead to, and so finds more that is broken; nobody else's import is counted in its time.
    """
    if load:
        # Nearly every component imports torch, and the first would pay for it.  What goes wrong here goes wrong for
        # the components too, and is then told of them.
        with suppress(Exception):
            import torch  # noqa: F401
    everything = declared()
    found: dict[str, _Found] = {}
    for entry in everything.entries:
        if entry.dist is not None:
            found.setdefault(distribution_of(entry), _Found(entry.dist)).entries.append(entry)
    plugins = [_plugin(one, builtin_commands, load=load) for one in found.values()]
    for distribution, reason in everything.unreadable:
        plugins.append(InstalledPlugin(**_whence(distribution), problem=reason))
    return sorted(plugins, key=lambda plugin: plugin.distribution)


def _plugin(found: _Found, builtin_commands: dict[str, str], *, load: bool) -> InstalledPlugin:
    whence = _whence(found.distribution)
    components = [_component(entry, builtin_commands, load=load and whence["let_in"]) for entry in found.entries]
    return InstalledPlugin(**whence, components=tuple(components))


def _whence(distribution: Distribution) -> dict[str, Any]:
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    editable = bool(direct.get("dir_info", {}).get("editable"))
    location = str(distribution.locate_file(""))
    if editable:
        location = str(direct.get("url", location)).removeprefix("file://")
    elif distribution.read_text("PKG-INFO") and not distribution.read_text("installed-files.txt"):
        editable = True  # its source folder, put on the path as it is
    name = distribution.metadata["Name"] or "?"
    return {
        "distribution": name,
        "version": distribution.version or "?",
        "location": location,
        "editable": editable,
        "let_in": is_let_in(name),
    }


def _component(entry: EntryPoint, builtin_commands: dict[str, str], *, load: bool) -> InstalledComponent:
    kind = _GROUPS.get(entry.group)
    problem, seconds = _problem(entry, kind, builtin_commands), None
    if load and problem is None:
        start = time.perf_counter()
        try:
            with redirect_stdout(sys.stderr):  # what it prints on import must not mix with our own output
                import_command(entry) if kind == "command" else KINDS[str(kind)].load(entry)
        except OccmaskError as e:
            problem = _reason(e)
        seconds = round(time.perf_counter() - start, 3)
    return InstalledComponent(
        kind=kind, group=entry.group, name=entry.name, leads_to=entry.value, problem=problem, seconds=seconds
    )


def _problem(entry: EntryPoint, kind: str | None, builtin_commands: dict[str, str]) -> str | None:
    """What metadata alone tell."""
    if kind is None:
        return f"occmask knows no group {entry.group!r}.{did_you_mean(entry.group, _GROUPS)}"
    wrong = malformed(entry)
    if wrong is not None or not is_let_in(distribution_of(entry)):
        return wrong
    if kind != "command":
        return KINDS[kind].clash(entry.name)
    if entry.name in builtin_commands:
        return f"a command of occmask itself is called {entry.name!r}, and stays so"
    return clash_between("command", entry.name, claimed_commands()[entry.name])


def _reason(error: OccmaskError) -> str:
    """The error without what the listing says anyway: whose component it is."""
    cause = error.__cause__
    text = str(error) if cause is None else f"{type(cause).__name__}: {cause}"
    return " ".join(text.split())
