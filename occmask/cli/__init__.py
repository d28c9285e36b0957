"""The command line: `occmask --help` lists the commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from ..errors import OccmaskError
from ..version import __version__

# command -> what it does; each is a module of this package with `add_arguments(parser)` and `run(arguments)`
COMMANDS = {  # in the order in which a person needs them
    "demo": "train, measure and report on real faces in minutes",
    "list": "names of models and components",
    "show": "one model's or component's options and size",
    "align": "cut faces out of photographs, five points to their places",
    "convert": "faces from one container to another: folder, rec, tar, lmdb, bin",
    "pairs": "draw pairs for verification from a set of faces",
    "occlude": "make a covered copy of a face set, with boxes, visible maps and a manifest",
    "import": "InsightFace's, AdaFace's, TFace's or FROM's weights",
    "train": "train a recipe on a set of faces",
    "evaluate": "run a protocol on a model: figures, one JSON and one page",
    "compare": "what two results of one protocol differ by, with paired intervals",
    "compare-methods": "train and measure every method on the same data, seeds and budget",
    "explain": "draw what the model believes is covered on one face",
    "export": "write a model as a program: torch.export or ONNX",
    "doctor": "versions, devices, plug-ins and a self-check",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, exit 2."""
        print(f"{self.prog}: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 after a one-line error."""
    parser = _Parser(prog="occmask", description="Occlusion-robust face recognition.")
    parser.add_argument("--version", action="version", version=f"occmask {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    words = list(sys.argv[1:] if words is None else words)
    try:
        for name, summary in COMMANDS.items():
            command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
            command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
            if name in words:  # the others' modules need not be imported
                module = import_module(f".{name.replace('-', '_')}_command", __name__)
                module.add_arguments(command)
                command.set_defaults(run=module.run)
    except KeyboardInterrupt:  # importing torch takes seconds
        print("occmask: stopped", file=sys.stderr)
        return 130
    arguments = parser.parse_args(words)
    try:
        arguments.run(arguments)
    except OccmaskError as e:
        if arguments.debug:
            raise
        print(f"occmask {arguments.command}: error: {' '.join(str(e).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"occmask {arguments.command}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
