"""`occmask compare-methods`: every method on the same data, seeds and budget."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from ..comparison import ComparisonSettings, run_comparison
from ..data.faces import FaceSet
from ..data.sources import load_faces
from ..errors import OptionError
from ..models.config import MODELS
from ..spec import Spec
from ..training.budgets import BUDGETS
from .settings import read_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", help="aligned faces to train on, as 'occmask train' takes them, or 'orl'")
    parser.add_argument("--out", type=Path, required=True, help="folder for the page, the figures and the weights")
    parser.add_argument("--test", metavar="FACES", help="other faces to test on (default: the last of each person)")
    parser.add_argument("--methods", help="comma-separated; see occmask list --kind method (default: all)")
    parser.add_argument("--model", default="from_tiny", help="that every method changes (default: %(default)s)")
    parser.add_argument("--margin", help="margin loss (default: the budget's, CosFace)")
    parser.add_argument(
        "--margin-set",
        dest="margin_changes",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the margin loss (the small budget has scale=16 margin=0.2)",
    )
    parser.add_argument("--budget", default="small", choices=list(BUDGETS), help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, help="cut every stage short: a quick look whose figures mean nothing")
    parser.add_argument("--seeds", type=int, default=1, help="training runs of each method (default: %(default)s)")
    parser.add_argument(
        "--gallery", type=int, default=5, help="pictures of each person that are enrolled (default: %(default)s)"
    )
    parser.add_argument("--template", metavar="NAME", help="how the faces are aligned, where they do not say it")
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument("--device", default="cpu", help="such as cuda (default: %(default)s)")
    parser.add_argument("--no-pictures", action="store_true", help="leave faces, which are personal data, off the page")
    parser.add_argument("--json", action="store_true", help="print the results instead of the table")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    changes = read_changes(arguments.margin_changes)
    margin = BUDGETS[arguments.budget].margin if arguments.margin is None else Spec(arguments.margin)
    settings = ComparisonSettings(
        out=arguments.out,
        methods=_names(arguments.methods),
        model=arguments.model,
        margin=margin.replace(**changes),
        budget=arguments.budget,
        steps=arguments.steps,
        seeds=arguments.seeds,
        gallery=arguments.gallery,
        device=arguments.device,
        faces_on_page=not arguments.no_pictures,
        progress=not arguments.quiet,
    )
    faces = _load(arguments.faces, arguments)
    test = None if arguments.test is None else _load(arguments.test, arguments)
    table = run_comparison(
        settings,
        faces,
        test=test,
        data=_in_words(arguments, faces, test),
        command=shlex.join(["occmask", *sys.argv[1:]]),
    )
    if arguments.json:
        print((settings.out / "results.json").read_text(), end="")
        return
    print(f"\n{table}\n")
    for name, what in {
        "methods.html": "everything on one page",
        "methods.md": "the figures as Markdown",
        "results.json": "all figures",
        "weights": "the trained models",
    }.items():
        print(f"{settings.out / name}  {what}")


def _names(words: str | None) -> tuple[str, ...]:
    if words is None:
        return ()
    names = tuple(name.strip() for name in words.split(",") if name.strip())
    if not names:
        raise OptionError("--methods names at least one method, such as 'from'; see occmask list --kind method")
    return names


def _load(source: str, arguments: argparse.Namespace) -> FaceSet:
    faces = load_faces(
        source,
        image_size=MODELS[arguments.model]().image_size,
        template=arguments.template,
        resize=arguments.resize,
    )
    for skipped in faces.skipped:
        print(f"skipped {skipped.source}: {skipped.reason}", file=sys.stderr)
    return faces


def _in_words(arguments: argparse.Namespace, faces: FaceSet, test: FaceSet | None) -> str:
    first = f"pictures 1-{arguments.gallery} of each person"
    if test is None:
        return f"{first} of {arguments.faces} ({faces.num_people} people; the others are the probes)"
    return (
        f"{arguments.faces} ({len(faces)} pictures of {faces.num_people} people; tested on {arguments.test}, "
        f"{test.num_people} people, {first} enrolled, the others the probes)"
    )
