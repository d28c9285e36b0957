"""`occmask compare-matchers`: ways of comparing the same faces, on people nobody trained on."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from ..data.sources import load_faces
from ..matcher_comparison import MatcherSettings, run_matcher_comparison
from ..report.matchers import format_matcher_table
from ..spec import Spec
from .settings import read_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", help="aligned faces of people who are cut into folds, or 'orl'")
    parser.add_argument("--out", type=Path, required=True, help="folder for the figures and the trained models")
    parser.add_argument("--model", default="from_tiny", help="whose recogniser is trained (default: %(default)s)")
    parser.add_argument(
        "--set", dest="changes", action="extend", nargs="+", default=[], metavar="NAME=VALUE", help="an option of it"
    )
    parser.add_argument("--head-steps", type=int, default=1500, help="of the head (default: %(default)s)")
    parser.add_argument("--folds", type=int, default=4, help="people are cut into (default: %(default)s)")
    parser.add_argument("--only-folds", type=int, help="run the first so many of them (default: all)")
    parser.add_argument("--seeds", type=int, default=2, help="training runs of each fold (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="cut everything short: a quick look whose figures mean nothing")
    parser.add_argument("--template", metavar="NAME", help="how the faces are aligned, where they do not say it")
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument("--device", default="cpu", help="such as cuda (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the results instead of the table")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    settings = MatcherSettings(
        out=arguments.out,
        model=arguments.model,
        changes=read_changes(arguments.changes),
        head=Spec("occupancy"),
        head_steps=arguments.head_steps,
        folds=arguments.folds,
        only_folds=arguments.only_folds,
        seeds=arguments.seeds,
        steps=arguments.steps,
        device=arguments.device,
        progress=not arguments.quiet,
    )
    size = settings.config.image_size
    faces = load_faces(arguments.faces, image_size=size, template=arguments.template, resize=arguments.resize)
    for skipped in faces.skipped:
        print(f"skipped {skipped.source}: {skipped.reason}", file=sys.stderr)
    words = f"{arguments.faces} ({len(faces)} pictures of {faces.num_people} people)"
    results = run_matcher_comparison(settings, faces, data=words, command=shlex.join(["occmask", *sys.argv[1:]]))
    if arguments.json:
        print(json.dumps(results))
        return
    print(f"\n{format_matcher_table(results)}\n")
    print(f"{settings.out / 'matchers.md'}  every figure as Markdown")
    print(f"{settings.out / 'results.json'}  every figure for programs")
