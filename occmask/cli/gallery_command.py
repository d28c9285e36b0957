"""`occmask gallery`: enrol people, identify and verify faces, list, delete, check and move a gallery."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..errors import OptionError
from ..gallery.gallery import Gallery
from ..images.reading import shown
from ..matching.storage import PRECISIONS

_EXAMPLES = """
what to do, and with which options:
  occmask gallery people.gallery enrol FOLDER --weights FILE [--precision int8] [--resize] [--json] [--quiet]
  occmask gallery people.gallery identify PICTURE... --weights FILE [--top 5] [--best 1] [--resize] [--json]
  occmask gallery people.gallery verify PERSON PICTURE... --weights FILE [--best 1] [--threshold 0.4] [--json]
  occmask gallery people.gallery list [--pictures] [--json]
  occmask gallery people.gallery delete PERSON... [--json]
  occmask gallery people.gallery check [--json]
  occmask gallery people.gallery export FILE.jsonl [--json]
  occmask gallery people.gallery import FILE.jsonl --weights FILE [--json]

FOLDER holds one folder a person, with that person's aligned pictures in it; enrol, identify and verify take
[--template NAME] where they are aligned otherwise than as "arcface".  Templates of faces are personal data.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    parser.add_argument("file", type=Path, help="the gallery; enrol and import make it if there is none")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    enrol = actions.add_parser("enrol", help="add the people of a folder")
    enrol.add_argument("faces", type=Path, help="one folder a person, with that person's aligned pictures in it")
    enrol.add_argument("--precision", choices=PRECISIONS, help="of the templates of a new gallery (default: float16)")
    enrol.add_argument("--quiet", action="store_true", help="no progress bar")
    identify = actions.add_parser("identify", help="who are the faces of these pictures?")
    identify.add_argument("--top", type=int, default=5, help="people to name (default: %(default)s)")
    verify = actions.add_parser("verify", help="is the face of these pictures this person?")
    verify.add_argument("person")
    verify.add_argument("--threshold", type=float, help="say yes from this score on; exit status 1 unless all are")
    for action in (identify, verify):
        action.add_argument("pictures", type=Path, nargs="+", help="aligned faces")
        action.add_argument("--best", type=int, default=1, help="a person's score is the mean of so many pictures'")
    listing = actions.add_parser("list", help="who is in it")
    listing.add_argument("--pictures", action="store_true", help="and with which pictures")
    delete = actions.add_parser("delete", help="forget people, and overwrite what was stored of them")
    delete.add_argument("people", nargs="+", metavar="PERSON")
    check = actions.add_parser("check", help="look at every byte; exit status 1 for a damaged file")
    export = actions.add_parser("export", help="write everything as JSON lines")
    bring = actions.add_parser("import", help="add the people of such a file, or nobody")
    for action in (export, bring):
        action.add_argument("lines", type=Path, metavar="FILE.jsonl")
    for action in (enrol, identify, verify, bring):
        action.add_argument("--weights", type=Path, required=True, help="the model that makes the templates")
    for action in (enrol, identify, verify):
        action.add_argument(
            "--template", default="arcface", metavar="NAME", help="how the pictures are aligned (default: %(default)s)"
        )
        action.add_argument("--resize", action="store_true", help="accept aligned faces of another size")
        action.add_argument("--device", default="cpu", help="such as cuda (default: %(default)s)")
    for action in (enrol, identify, verify, listing, delete, check, export, bring):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    if arguments.action in ("enrol", "identify", "verify", "import"):
        from . import gallery_faces  # needs torch

        return gallery_faces.run(arguments)
    with Gallery(arguments.file) as gallery:
        return _ACTIONS[arguments.action](gallery, arguments)


def _list(gallery: Gallery, arguments: argparse.Namespace) -> int:
    info, people = gallery.info(), gallery.people()
    pictures = {p.name: gallery.pictures(p.name) for p in people} if arguments.pictures else {}
    if arguments.json:
        about: dict[str, object] = {"model": info.model, "templates": info.kind and info.kind._asdict()}
        about |= {"created": info.created, "bytes": info.bytes, "people": info.people, "pictures": info.pictures}
        everybody = [
            {**p._asdict(), "pictures": [one._asdict() for one in pictures[p.name]] if pictures else p.pictures}
            for p in people
        ]
        print(json.dumps({**about, "everybody": everybody}))
        return 0
    size = f"{info.bytes / 1e6:,.1f} MB"
    print(f"{info.people} people, {info.pictures} pictures, {size}, of model {info.model[:12]}: {info.kind or 'empty'}")
    for person in people:
        print(f"{shown(person.name)}: {person.pictures}")
        for one in pictures.get(person.name, ()):
            print(f"  {one.id}  {shown(one.name) or '(no name)'}  {one.enrolled}")
    return 0


def _delete(gallery: Gallery, arguments: argparse.Namespace) -> int:
    missing = [person for person in arguments.people if person not in gallery]
    if missing:
        raise OptionError(f"nobody is called {', '.join(map(shown, missing))} here; nobody was deleted")
    deleted = {person: gallery.delete(person) for person in dict.fromkeys(arguments.people)}
    emptied = all(one.log_emptied for one in list(deleted.values())[-1:])
    if arguments.json:
        print(json.dumps({"deleted": {name: one.pictures for name, one in deleted.items()}, "log_emptied": emptied}))
    else:
        for name, one in deleted.items():
            print(f"deleted {shown(name)} and {one.pictures} pictures; copies and backups keep what they have")
    if not emptied:
        log = f"{arguments.file}-wal"
        print(f"others are reading: {log} holds old pages until they are done; delete again then", file=sys.stderr)
    return 0


def _check(gallery: Gallery, arguments: argparse.Namespace) -> int:
    found = gallery.check()
    if arguments.json:
        print(json.dumps(found._asdict()))
    else:
        for problem in found.problems:
            print(problem)
        told = "whole" if not found.problems else f"{len(found.problems)} problems; restore it from a copy"
        print(f"{found.people} people, {found.pictures} pictures: {told}")
    return 1 if found.problems else 0


def _export(gallery: Gallery, arguments: argparse.Namespace) -> int:
    count = gallery.export(arguments.lines)
    print(json.dumps({"pictures": count}) if arguments.json else f"wrote {count} pictures to {arguments.lines}")
    return 0


_ACTIONS = {"list": _list, "delete": _delete, "check": _check, "export": _export}
