"""`occmask list`: names, without importing any component."""

from __future__ import annotations

import argparse
import json
from fnmatch import fnmatch

from ..catalogue import KINDS
from ..models import list_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", help="a shell pattern, such as 'from_*'")
    parser.add_argument("--kind", default="model", choices=list(KINDS), help="what to list (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(arguments: argparse.Namespace) -> None:
    if arguments.kind == "model":
        names = list_models(arguments.pattern)
    else:
        names = [name for name in KINDS[arguments.kind] if fnmatch(name, arguments.pattern)]
    print(json.dumps(names) if arguments.json else "\n".join(names))
