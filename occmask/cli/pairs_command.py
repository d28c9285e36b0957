"""`occmask pairs`: a list of verification pairs from any set of faces."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from ..data.faces import FaceSet
from ..data.pair_making import make_pairs
from ..data.pairs import save_pairs
from ..data.sources import load_faces
from ..errors import DataError
from ..images.reading import shown
from ..images.skipping import Skipped, listed
from .settings import check_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", help="'orl', or a folder, list file, .rec, LMDB, tar or .bin")
    parser.add_argument("out", type=Path, help="the list to write, such as pairs.csv: left,right,same")
    parser.add_argument("--genuine", type=int, default=3000, help="pairs of one person (default: %(default)s)")
    parser.add_argument("--impostor", type=int, default=3000, help="pairs of two people (default: %(default)s)")
    parser.add_argument(
        "--folds", type=int, default=10, help="equal parts without a person in common (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--unreadable", default="refuse", choices=["refuse", "skip"], help="(default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    out = check_output(arguments.out)
    # Any size will do: pairs are drawn by label, and a picture is only looked at to know that it can be read
    faces = load_faces(arguments.faces, resize=True, unreadable=arguments.unreadable, verify=False)
    skipped = list(faces.skipped)
    if arguments.unreadable == "skip":
        bad = _unreadable(faces, quiet=arguments.quiet)
        skipped = list(dict.fromkeys([*skipped, *bad.values()]))
        faces = faces.select([index for index in range(len(faces)) if index not in bad])
    pairs = make_pairs(
        faces, genuine=arguments.genuine, impostor=arguments.impostor, folds=arguments.folds, seed=arguments.seed
    )
    if arguments.unreadable == "refuse":  # only what was drawn matters
        bad = _unreadable(pairs.faces, quiet=arguments.quiet)
        if bad:
            raise DataError(
                f"{len(bad)} of the {len(pairs.faces)} pictures drawn cannot be read: {listed(bad.values())}. Repair "
                "or remove them, or pass --unreadable skip to draw from the others"
            )
    save_pairs(out, pairs)
    for source, reason in skipped:
        print(f"skipped {source}: {reason}", file=sys.stderr)
    written = {
        "out": str(out),
        "pairs": len(pairs),
        "genuine": arguments.genuine,
        "impostor": arguments.impostor,
        "folds": arguments.folds,
        "seed": arguments.seed,
        "pictures": len(pairs.faces),
        "people": pairs.faces.num_people,
        "skipped": len(skipped),
    }
    if arguments.json:
        print(json.dumps(written))
    else:
        print(
            "{out}: {pairs} pairs ({genuine} genuine, {impostor} impostor) of {pictures} pictures of {people} people, "
            "in {folds} folds; skipped {skipped}".format(**written)
        )


def _unreadable(faces: FaceSet, *, quiet: bool) -> dict[int, Skipped]:
    """Index -> what cannot be read."""
    bad = {}
    for index in tqdm(range(len(faces)), desc="looking at pictures", unit="picture", disable=quiet):
        try:
            faces.image(index)
        except DataError as e:
            name = faces.name(index)
            bad[index] = Skipped(name, str(e).removeprefix(f"{shown(name)}: "))
    return bad
