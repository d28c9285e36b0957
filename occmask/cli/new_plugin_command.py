"""`occmask new-plugin`: a working, tested distribution to start from."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ..catalogue import KINDS
from ..scaffold import TEMPLATES, write_plugin
from . import COMMANDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="such as gate: makes the distribution occmask-gate with a component 'gate'")
    parser.add_argument("--kind", required=True, metavar="KIND", help=f"one of {', '.join(TEMPLATES)}")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where its folder goes (default: this folder)"
    )


def run(arguments: argparse.Namespace) -> None:
    place = write_plugin(arguments.name, arguments.kind, arguments.out, registries=KINDS.values(), commands=COMMANDS)
    print(f"Wrote {place}. Next:")
    for command in (f"cd {shlex.quote(str(place))}", "python -m pip install -e '.[test]'", "python -m pytest"):
        print(f"  {command}")
