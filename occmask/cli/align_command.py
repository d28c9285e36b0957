"""`occmask align`: photographs and five points each -> aligned faces."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from ..errors import OptionError
from ..images.align_folder import align_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photographs", help="a folder of pictures, at any depth")
    parser.add_argument(
        "points",
        help="a text file, a line a picture: its path in the folder, then x and y of left eye, right eye, nose, left "
        "and right corner of the mouth, as a face detector gives them",
    )
    parser.add_argument("out", type=Path, help="folder to write to; paths stay, pictures become PNG")
    parser.add_argument("--size", default="112x112", help="height x width, such as 112x112 or 112x96 (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    size = re.fullmatch(r"(\d+)x(\d+)", arguments.size)
    if size is None:
        raise OptionError(f"--size is height x width, such as 112x112, not {arguments.size!r}")
    report = align_folder(
        arguments.photographs,
        arguments.points,
        arguments.out,
        image_size=(int(size[1]), int(size[2])),
        progress=not arguments.quiet,
    )
    if arguments.json:
        print(json.dumps({"written": report.written, "skipped": [s._asdict() for s in report.skipped]}))
        return
    for skipped in report.skipped:
        print(f"skipped {skipped.source}: {skipped.reason}", file=sys.stderr)
    print(f"wrote {report.written} aligned faces to {arguments.out}, skipped {len(report.skipped)}")
