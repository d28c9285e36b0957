"""Commands of plug-ins: the entry points of `occmask.commands`, each the name of a module."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint
from types import ModuleType

from ..errors import DuplicateNameError, PluginError
from ..plugin_metadata import COMMANDS_GROUP, clash_between, declared, distribution_of, is_let_in, malformed


def claimed_commands() -> dict[str, tuple[EntryPoint, ...]]:
    """Every command that plug-ins that are let in claim, built-in names among them; imports nothing."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in declared().of_group(COMMANDS_GROUP):
        if is_let_in(distribution_of(entry)):
            found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def load_command(name: str, entries: tuple[EntryPoint, ...]) -> ModuleType:
    """The module of a command; raises `DuplicateNameError` or `PluginError`, which name the distributions."""
    taken = clash_between("command", name, entries)
    if taken is not None:
        raise DuplicateNameError(taken)
    return import_command(entries[0])


def import_command(entry: EntryPoint) -> ModuleType:
    """The module that an entry point names, which has what a command needs; `PluginError` if not."""
    source = f"command {entry.name!r} comes from plug-in {distribution_of(entry)!r} ({entry.value})"
    wrong = malformed(entry)
    if wrong is not None:
        raise PluginError(f"{source}: {wrong}")
    try:
        module = import_module(entry.value)
    except (Exception, SystemExit) as e:
        raise PluginError(f"{source}, which failed to load: {type(e).__name__}: {e}") from e
    for function in ("add_arguments", "run"):
        if not callable(getattr(module, function, None)):
            raise PluginError(f"{source}, which has no function {function}(); a command has add_arguments and run")
    return module


def summary_of(module: ModuleType) -> str:
    """The first line of a command's docstring."""
    return ((module.__doc__ or "").strip() or "(it does not say what it does)").splitlines()[0]
