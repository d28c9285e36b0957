"""`occmask train`: one recipe on a folder of faces."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import torch

from ..data.sources import load_faces
from ..errors import CheckpointError, OptionError
from ..margins import build_loss
from ..margins.loss import MarginLoss
from ..models import build, load_weights
from ..models.config import OCCLUSION_PARTS
from ..models.face import FaceModel
from ..models.files import is_safetensors, read_tensors
from ..spec import Spec
from ..training import RECIPES
from ..training.loop import train
from ..training.objectives import names_people
from ..training.recipe import recipe_named
from .settings import read_changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", help="aligned faces: a folder of person/picture, .rec, tar, LMDB, list file, or 'orl'")
    parser.add_argument("--out", type=Path, required=True, help="folder for last.safetensors and log.jsonl")
    parser.add_argument("--recipe", default="from", choices=list(RECIPES), help="(default: %(default)s)")
    parser.add_argument("--model", default="from_r50", help="(default: %(default)s)")
    _add_changes(parser, "--set", "changes", "an option of the model")
    parser.add_argument("--margin", default="cosface", help="margin loss (default: %(default)s)")
    _add_changes(parser, "--margin-set", "margin_changes", "an option of the margin loss")
    _add_changes(parser, "--recipe-set", "recipe_changes", "a setting of the recipe, such as epochs=10")
    parser.add_argument(
        "--start",
        help="weights to go on from: trunk, embedding, classifier, and occlusion parts that the model has, too",
    )
    parser.add_argument("--resume", action="store_true", help="go on from OUT/last.safetensors")
    parser.add_argument("--template", metavar="NAME", help="how the faces are aligned, where they do not say it")
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument("--no-verify", action="store_true", help="do not read every picture once before training")
    parser.add_argument("--unreadable", default="refuse", choices=["refuse", "skip"], help="(default: %(default)s)")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that read faces (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_changes(parser: argparse.ArgumentParser, flag: str, name: str, what: str) -> None:
    parser.add_argument(
        flag, dest=name, action="extend", nargs="+", default=[], metavar="NAME=VALUE", help=f"{what}; several at once"
    )


def run(arguments: argparse.Namespace) -> None:
    if arguments.workers < 0:
        raise OptionError(f"--workers is zero or more, not {arguments.workers}")
    recipe = recipe_named(arguments.recipe, **read_changes(arguments.recipe_changes))
    if recipe.starts_from is not None and arguments.start is None and not arguments.resume:
        raise OptionError(
            f"recipe {recipe.name!r} continues a {recipe.starts_from}: train that (--recipe {recipe.starts_from}) "
            "and pass its last.safetensors as --start"
        )
    torch.manual_seed(recipe.seed)
    absent = {part: None for part in OCCLUSION_PARTS if part not in recipe.parts}
    model = build(arguments.model, **{**read_changes(arguments.changes), **absent})
    faces = load_faces(
        arguments.faces,
        image_size=model.config.image_size,
        template=arguments.template,
        resize=arguments.resize,
        unreadable=arguments.unreadable,
        verify=not arguments.no_verify,
    )
    for skipped in faces.skipped:
        print(f"skipped {skipped.source}: {skipped.reason}", file=sys.stderr)
    loss = None
    if names_people(recipe.objective):
        margin = Spec(arguments.margin, **read_changes(arguments.margin_changes))
        loss = build_loss(margin, embedding_dim=model.width, num_classes=max(2, faces.num_people))
    if arguments.start is not None:
        _start(model, loss, arguments.start)
    summary = train(
        model,
        loss,
        faces,
        recipe,
        out=arguments.out,
        resume=arguments.resume,
        device=arguments.device,
        workers=arguments.workers,
        progress=not arguments.quiet,
    )
    named = "" if math.isnan(summary.accuracy) else f", accuracy {summary.accuracy:.3f}"
    print(
        f"{recipe.name}: {summary.steps} steps in {summary.seconds:.0f} s, loss {summary.loss:.3f}{named}; "
        f"weights in {summary.checkpoint}"
    )


def _start(model: FaceModel, loss: MarginLoss | None, path: str) -> None:
    """Trunk and embedding of the file, the occlusion parts that both have alike, and its class weights if they fit."""
    theirs, own = _config_of_file(path), json.loads(json.dumps(model.config.to_dict()))
    alike = (part for part in model.config.occlusion_parts if own[part] == theirs.get(part))
    parts = ("backbone", "embedding", *alike)
    report = load_weights(model, path, only=parts)
    classes = ""
    if loss is not None:
        classes = "; class weights continue"
        try:
            load_weights(model, path, loss=loss, only=parts)
        except CheckpointError as e:
            classes = f"; class weights start fresh ({e})"
    print(f"{len(report.loaded)} tensors from {path}; {len(report.missing)} start fresh{classes}", file=sys.stderr)


def _config_of_file(path: str) -> dict[str, Any]:
    """What a file of ours says about its model; nothing of another project's file."""
    return json.loads(read_tensors(path)[1].get("config", "{}")) if is_safetensors(path) else {}
