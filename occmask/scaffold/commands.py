"""Template of a command."""

from __future__ import annotations

from .template import Template

COMMAND = Template(
    what="a command that counts the people and pictures of a set of faces",
    suffix="Command",
    entry_points=(("occmask.commands", "$package.command"),),
    module="command",
    source='''"""Count the people and the pictures of a set of faces."""

from __future__ import annotations

import argparse
import json

import numpy as np

import occmask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", help="what occmask.load_faces takes: a folder of person/picture, 'orl', ...")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the answer; a number returned would be the exit code, and an `occmask.OccmaskError` is told in one line."""
    faces = occmask.load_faces(arguments.faces, verify=False)
    pictures = np.bincount(faces.labels, minlength=len(faces.people))
    counts = {
        "people": len(faces.people),
        "pictures": len(faces),
        "fewest": int(pictures.min()),
        "most": int(pictures.max()),
    }
    if arguments.json:
        print(json.dumps(counts))
    else:
        print("{pictures} pictures of {people} people, {fewest} to {most} of each".format(**counts))
''',
    tests='''"""The command is found by its name, and counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def occmask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "occmask", *words], check=False, capture_output=True, text=True)


def test_the_help_of_occmask_lists_it() -> None:
    assert "$component" in occmask("--help").stdout


def test_people_and_pictures_are_counted(tmp_path: Path) -> None:
    for person, pictures in (("ann", 3), ("bob", 2)):
        (tmp_path / person).mkdir()
        for number in range(pictures):
            Image.fromarray(np.zeros((112, 96, 3), np.uint8)).save(tmp_path / person / f"{number}.png")
    ran = occmask("$component", str(tmp_path), "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"people": 2, "pictures": 5, "fewest": 2, "most": 3}


def test_a_folder_that_is_not_there_is_one_line() -> None:
    ran = occmask("$component", "no-such-folder")
    assert ran.returncode == 2
    assert ran.stderr.count("\\n") == 1
''',
    use="""```sh
occmask $component orl --json
```""",
)
