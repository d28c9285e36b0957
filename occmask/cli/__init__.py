"""The command line: `occmask --help` lists the commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any, NoReturn

from ..errors import OccmaskError, PluginError
from ..plugin_metadata import distribution_of
from ..version import __version__
from .plugin_commands import claimed_commands, load_command, summary_of

# command -> what it does; each is a module of this package with `add_arguments(parser)` and `run(arguments)`, which
# may return an exit code
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
    "compare-matchers": "ways of comparing the same faces, on people nobody trained on",
    "attach": "a head that says what is covered, for a recogniser you have",
    "calibrate": "make a model's answers about what is covered mean what they say",
    "explain": "say and draw what the model believes is covered: pictures, folders, frames",
    "app": "a page on this computer: drag covers over two faces and watch",
    "gallery": "enrol people into a file, identify and verify faces, list, delete, check",
    "export": "write a model as a program: torch.export or ONNX",
    "plugins": "what is installed beside occmask, from where, and what is broken",
    "new-plugin": "write a working, tested plug-in to start from",
    "doctor": "versions, devices, plug-ins and a self-check",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, exit 2."""
        print(f"{self.prog}: error: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: the command's own, mostly 0, or 2 after a one-line error."""
    parser = _Parser(prog="occmask", description="Occlusion-robust face recognition.")
    parser.add_argument("--version", action="version", version=f"occmask {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    words = list(sys.argv[1:] if words is None else words)
    chosen = next((word for word in words if not word.startswith("-")), None)
    try:
        for name, summary in COMMANDS.items():
            _add(commands, name, summary, import_module(_module_of(name), __name__) if name == chosen else None)
        for name, entries in claimed_commands().items():
            if name not in COMMANDS:
                _add_of_plugin(commands, name, entries, chosen=name == chosen)
            elif name == chosen:
                owner = distribution_of(entries[0])
                print(f"occmask {name}: plug-in {owner!r} has a command {name!r} too; this is ours", file=sys.stderr)
    except KeyboardInterrupt:  # importing torch takes seconds
        print("occmask: stopped", file=sys.stderr)
        return 130
    except OccmaskError as e:  # of the plug-in whose command was asked for
        if "--debug" in words:
            raise
        return _refuse(str(chosen), e)
    arguments = parser.parse_args(words)
    try:
        return arguments.run(arguments) or 0
    except OccmaskError as e:
        if arguments.debug:
            raise
        return _refuse(arguments.command, e)
    except KeyboardInterrupt:
        print(f"occmask {arguments.command}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _module_of(command: str) -> str:
    return f".{command.replace('-', '_')}_command"


def _add(commands: Any, name: str, summary: str, module: ModuleType | None) -> None:
    """A command's parser; only the module of the one that was asked for has been imported and tells its arguments."""
    command = commands.add_parser(name, help=summary.replace("%", "%%"), description=_sentence(summary))
    command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    if module is not None:
        module.add_arguments(command)
        command.set_defaults(run=module.run)


def _add_of_plugin(commands: Any, name: str, entries: tuple[EntryPoint, ...], *, chosen: bool) -> None:
    owners = " and ".join(dict.fromkeys(distribution_of(entry) for entry in entries))
    if not chosen:
        _add(commands, name, f"(of plug-in {owners})", None)
        return
    module = load_command(name, entries)
    try:
        _add(commands, name, summary_of(module), module)
    except Exception as e:
        raise PluginError(f"command {name!r} of plug-in {owners!r} cannot say its arguments: {e!r}") from e


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:].removesuffix(".") + "."


def _refuse(command: str, error: OccmaskError) -> int:
    print(f"occmask {command}: error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2
