"""`occmask attach`: a head that says what is covered, for a recogniser that people already have."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from ..data.sources import load_faces
from ..errors import OptionError
from ..models import attach, load_model, save_weights
from ..spec import Spec
from ..training.attached import train_head
from .settings import check_output, read_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, help="the recogniser: a file of occmask ('occmask import' makes one)")
    parser.add_argument("faces", help="aligned faces of anybody: a folder, .rec, tar, LMDB, list file, or 'orl'")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the file to write, such as seeing.safetensors")
    parser.add_argument("--head", default="occupancy", help="(default: %(default)s)")
    parser.add_argument(
        "--set", dest="changes", action="extend", nargs="+", default=[], metavar="NAME=VALUE", help="an option of it"
    )
    parser.add_argument("--steps", type=int, help="training steps (default: one pass over the faces, at least 1500)")
    parser.add_argument(
        "--recipe-set",
        dest="recipe_changes",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the recipe, such as batch_size=128",
    )
    parser.add_argument("--template", metavar="NAME", help="how the faces are aligned, where they do not say it")
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that read faces (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    out = check_output(arguments.out)
    if arguments.steps is not None and arguments.steps < 1:
        raise OptionError(f"--steps is at least 1, not {arguments.steps}")
    model = attach(load_model(arguments.weights), Spec(arguments.head, **read_changes(arguments.changes)))
    spec = model.config.input_spec
    faces = load_faces(arguments.faces, image_size=spec.size, template=arguments.template, resize=arguments.resize)
    for skipped in faces.skipped:
        print(f"skipped {skipped.source}: {skipped.reason}", file=sys.stderr)
    summary = train_head(
        model,
        faces,
        steps=arguments.steps,
        device=arguments.device,
        workers=arguments.workers,
        progress=not arguments.quiet,
        **read_changes(arguments.recipe_changes),
    )
    save_weights(model.cpu(), out)
    print(
        f"{arguments.head} attached: {summary.steps} steps in {summary.seconds:.0f} s, loss {summary.loss:.3f}; the "
        f"recogniser is what it was, and the model is in {out}"
    )
