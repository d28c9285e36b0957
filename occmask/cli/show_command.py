"""`occmask show`: one model or component."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from ..catalogue import KINDS, describe
from ..errors import OptionError
from ..models import build, load_model
from ..models.face import FaceModel
from .settings import read_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a model such as from_r50, a component with --kind, or a weights file")
    parser.add_argument("--kind", default="model", choices=list(KINDS), help="what it is (default: %(default)s)")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="NAME=VALUE", help="override")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    if arguments.kind == "model" and arguments.name not in KINDS["model"] and Path(arguments.name).is_file():
        if arguments.changes:
            raise OptionError("a weights file is shown as it is; leave --set out")
        model = load_model(arguments.name)
        _show(arguments, model, "the model in this file", model.origin)
        return
    description = describe(arguments.kind, arguments.name)
    if arguments.kind != "model":
        options = {name: _plain(value) for name, value in description.options.items()}
        shown = {"kind": description.kind, "name": description.name, "summary": description.summary, "options": options}
        print(json.dumps(shown) if arguments.json else description)
        return
    model = build(arguments.name, **read_changes(arguments.changes))
    _show(arguments, model, description.summary, {})


def _show(arguments: argparse.Namespace, model: FaceModel, summary: str, origin: Mapping[str, str]) -> None:
    parameters = {part: sum(p.numel() for p in module.parameters()) for part, module in model.named_children()}
    config = model.config.to_dict()
    if arguments.json:
        shown = {"name": arguments.name, "summary": summary, "config": config, "parameters": parameters}
        print(json.dumps({**shown, **({"origin": origin} if origin else {})}))
        return
    print(f"{arguments.name}: {summary}")
    for name, value in config.items():
        print(f"  {name:<10}  {json.dumps(value)}")
    for name, text in origin.items():
        print(f"  {name:<10}  {text}")
    print("parameters")
    for part, count in parameters.items():
        print(f"  {part:<10}  {count / 1e6:8.3f} M")
    print(f"  {'together':<10}  {sum(parameters.values()) / 1e6:8.3f} M")


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool, type(None), list, tuple)) else str(value)
