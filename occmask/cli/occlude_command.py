"""`occmask occlude`: a covered copy of a face set, or of the second pictures of pairs, with boxes and visible maps."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.pairs import load_pairs
from ..data.sources import load_faces
from ..errors import DataError, OptionError
from ..images.align import Points
from ..images.points import read_points
from ..images.skipping import Skipped
from ..occluders.occluder import TEST_OCCLUDERS, TRAIN_OCCLUDERS
from ..spec import Spec
from ..testsets import TESTSETS
from ..testsets.making import PUBLISHED_SEED, make_test_set, remake_test_set
from ..testsets.manifest import Manifest, read_manifest
from .settings import read_changes

_GROUPS = {"test": TEST_OCCLUDERS, "train": TRAIN_OCCLUDERS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", metavar="IN", help="faces in any format, or 'orl'")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    parser.add_argument("--recipe", help=f"one of {', '.join(TESTSETS)}")
    parser.add_argument(
        "--set",
        dest="options",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the recipe, such as factor=2.0, share=0.4, region=twoeyes or part=left_eye; several at once",
    )
    parser.add_argument(
        "--occluders",
        nargs="+",
        metavar="NAME",
        help="what covers the faces, instead of the recipe's own, no model's training material: names of occluders, "
        "rectangle:TEXTURE, pictures:FOLDER, or all of 'test' or 'train'",
    )
    parser.add_argument("--from-manifest", type=Path, metavar="MANIFEST", help="make the set of this manifest again")
    parser.add_argument(
        "--pairs", type=Path, help="a list of pairs of IN, or IN itself, a .bin: the second picture of each is covered"
    )
    parser.add_argument(
        "--points",
        type=Path,
        help="the pictures' own five points, in pixels of what is written; a file as occmask align takes it",
    )
    parser.add_argument("--seed", type=int, help=f"(default: {PUBLISHED_SEED})")
    parser.add_argument(
        "--image-size", type=int, nargs=2, metavar=("H", "W"), help="in pixels; the manifest's, or (default) 112 96"
    )
    parser.add_argument("--resize", action="store_true", help="take faces of any size, as if they were aligned")
    parser.add_argument("--unreadable", default="refuse", choices=["refuse", "skip"], help="(default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with what an interrupted run left in OUT")
    parser.add_argument("--json", action="store_true", help="print the manifest's header")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    if (arguments.recipe is None) == (arguments.from_manifest is None):
        raise OptionError(f"name a --recipe ({', '.join(TESTSETS)}) or --from-manifest, one of the two")
    how = {"resume": arguments.resume, "progress": not arguments.quiet}
    header = _remade(arguments, how) if arguments.recipe is None else _made(arguments, how)
    if arguments.json:
        print(json.dumps(header))
        return
    if "note" in header:
        print(f"note: {header['note']}", file=sys.stderr)
    print(_summary(header["counts"], arguments.out))


def _made(arguments: argparse.Namespace, how: Mapping[str, bool]) -> dict[str, Any]:
    recipe = Spec(arguments.recipe.replace("-", "_"), **read_changes(arguments.options))
    if arguments.occluders is not None:
        recipe = recipe.replace(occluders=_occluders(arguments.occluders))
    TESTSETS.build(recipe)  # a wrong option is known before thousands of pictures are read
    options = {
        "image_size": tuple(arguments.image_size or (112, 96)),
        "resize": arguments.resize,
        "unreadable": arguments.unreadable,
    }
    pairs = None
    skipped: Sequence[Skipped] = ()
    if arguments.pairs is None:
        faces = load_faces(arguments.faces, **options)
    else:
        own = arguments.pairs == Path(arguments.faces)  # a .bin, which holds both
        pairs = load_pairs(arguments.pairs, root=None if own else arguments.faces, **options)
        faces, skipped = pairs.faces, pairs.skipped
    for source, reason in (*faces.skipped, *skipped):
        print(f"skipped {source}: {reason}", file=sys.stderr)
    return make_test_set(
        faces,
        arguments.out,
        recipe,
        seed=PUBLISHED_SEED if arguments.seed is None else arguments.seed,
        pairs=pairs,
        points=None if arguments.points is None else _points(arguments.points),
        skipped=skipped,
        resize=arguments.resize,
        **how,
    )


def _points(path: Path) -> Mapping[str, Points]:
    found, bad = read_points(path)
    if bad:
        raise DataError(f"{bad[0].source}: {bad[0].reason}" + (f" and {len(bad) - 1} more" if len(bad) > 1 else ""))
    return found


def _remade(arguments: argparse.Namespace, how: Mapping[str, bool]) -> dict[str, Any]:
    """Everything but where to read and write is the manifest's."""
    given = ("options", "occluders", "pairs", "points", "seed", "image_size", "resize")
    for name in given:
        if getattr(arguments, name) not in (None, False, []):
            flag = {"options": "set"}.get(name, name.replace("_", "-"))
            raise OptionError(f"--{flag} is taken from the manifest; leave it out with --from-manifest")
    manifest = read_manifest(arguments.from_manifest)
    return remake_test_set(manifest, load_faces(arguments.faces, **_reading(manifest)), arguments.out, **how)


def _reading(manifest: Manifest) -> dict[str, Any]:
    """How the faces were read; what is unreadable now and was then is no picture of the manifest."""
    try:
        size = tuple(int(side) for side in manifest.header["image_size"])
        return {"image_size": size, "resize": bool(manifest.header["resize"]), "unreadable": "skip"}
    except (KeyError, TypeError, ValueError) as e:
        raise DataError(f"the manifest's header does not say how the faces were read ({e})") from e


def _occluders(names: Sequence[str]) -> tuple[Spec, ...]:
    found: list[Spec] = []
    for name in names:
        kind, colon, what = name.partition(":")
        if name in _GROUPS:
            found += _GROUPS[name]
        elif not colon:
            found.append(Spec(kind))
        elif kind == "pictures":
            found.append(Spec(kind, folder=what))
        elif kind == "rectangle":
            found.append(Spec(kind, textures=(what,)))
        else:
            raise OptionError(f"--occluders takes NAME, rectangle:TEXTURE or pictures:FOLDER, not {name!r}")
    return tuple(found)


def _summary(counts: Mapping[str, int], out: Path) -> str:
    parts = [f"{counts['covered']} covered"]
    if counts["untouched"]:
        parts.append(f"{counts['untouched']} that the occluder missed")
    if counts["pairs"]:
        parts.append(f"{counts['clean']} clean")
    pairs = f", {counts['pairs']} pairs in {out / 'pairs.csv'}" if counts["pairs"] else ""
    return f"{counts['pictures']} pictures in {out} ({', '.join(parts)}){pairs}; {counts['skipped']} skipped"
