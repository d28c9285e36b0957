"""`occmask plugins`: what is installed beside occmask, from where, what it brings, and what is broken and why."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

from . import COMMANDS
from .installed_plugins import InstalledComponent, InstalledPlugin, installed_plugins

_WIDTH = 80  # columns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "The exit code is 1 when something is broken."
    parser.add_argument("--json", action="store_true", help="print a JSON list, one entry a distribution")


def run(arguments: argparse.Namespace) -> int:
    plugins = installed_plugins(builtin_commands=COMMANDS, load=True)
    if arguments.json:
        print(json.dumps([asdict(plugin) | {"broken": bool(plugin.problems)} for plugin in plugins]))
    else:
        print("\n".join(_lines(plugins)))
    return int(any(plugin.problems for plugin in plugins))


def _lines(plugins: list[InstalledPlugin]) -> Iterator[str]:
    if not plugins:
        yield "No plug-in is installed; `occmask new-plugin` writes one to start from."
        return
    for plugin in plugins:
        switched_off = "" if plugin.let_in else "  switched off by OCCMASK_PLUGINS"
        yield f"{plugin.distribution} {plugin.version}{switched_off}"
        yield f"  from {plugin.location}{' (editable)' if plugin.editable else ''}"
        if plugin.problem:
            yield from _wrapped("  BROKEN: ", plugin.problem)
        for kind, components in groupby(plugin.components, key=lambda c: c.kind or c.group):
            yield f"  {kind.replace('_', ' ')}"
            yield from (line for component in components for line in _component(component))
        yield ""
    yield _count(plugins)


def _component(component: InstalledComponent) -> Iterator[str]:
    begin = f"    {component.name:<22}  "
    if component.problem:
        yield from _wrapped(f"{begin}BROKEN: ", component.problem)
    elif component.seconds is None:
        yield f"{begin}not tried"
    else:
        yield f"{begin}loads in {component.seconds:.2f} s"


def _wrapped(begin: str, text: str) -> list[str]:
    return textwrap.wrap(begin + text, _WIDTH, subsequent_indent=" " * 8, break_on_hyphens=False)


def _count(plugins: list[InstalledPlugin]) -> str:
    components, broken = sum(len(p.components) for p in plugins), sum(len(p.problems) for p in plugins)

    def many(count: int, what: str) -> str:
        return f"{count} {what}{'' if count == 1 else 's'}"

    return f"{many(len(plugins), 'plug-in')}, {many(components, 'component')}, {broken or 'nothing'} broken"
