"""`occmask calibrate`: fit the temperature of a model's answers about what is covered, and save it with the model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from ..data.sources import load_faces
from ..devices import usable_device
from ..errors import OptionError
from ..measure.calibration import ANYTHING, CELLS, CalibrationReport, calibrate, temperature_path
from ..models import load_model, save_weights
from ..occluders import PLACEMENTS
from ..occluders.occlude import Occlusions
from ..report.reliability_picture import ReliabilityPanel, draw_reliability
from ..training import RECIPES
from ..training.recipe import recipe_named
from .explain_output import check_picture
from .settings import check_output, read_changes

_PANELS = {CELLS: "cells of the map", ANYTHING: "anything covered"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, help="a model that sees what is covered")
    parser.add_argument(
        "faces", help="aligned faces of people it was not trained on, in any format, or 'orl'; occmask covers them"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="the file to write")
    parser.add_argument(
        "--recipe",
        default="occupancy",
        choices=list(RECIPES),
        help="whose occluders, placement and share of clean faces (default: %(default)s)",
    )
    parser.add_argument(
        "--recipe-set",
        dest="recipe_changes",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the recipe, such as clean_share=0.8; several at once",
    )
    parser.add_argument("--samples", type=int, default=1000, help="faces to cover and look at (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--figure", type=Path, help="also draw the reliability diagrams, such as reliability.png")
    parser.add_argument("--template", metavar="NAME", help="how the faces are aligned, where they do not say it")
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument("--unreadable", default="refuse", choices=["refuse", "skip"], help="(default: %(default)s)")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    out = check_output(arguments.out)
    figure = None if arguments.figure is None else check_picture(check_output(arguments.figure))
    recipe = recipe_named(arguments.recipe, **read_changes(arguments.recipe_changes))
    if recipe.clean_share >= 1:
        raise OptionError(f"recipe {recipe.name!r} covers no face; use one that does, such as 'occupancy'")
    model = load_model(arguments.weights).to(usable_device(arguments.device))
    temperature_path(model)  # what cannot be calibrated is known before thousands of pictures are read
    faces = load_faces(
        arguments.faces,
        image_size=model.config.image_size,
        template=arguments.template,
        resize=arguments.resize,
        unreadable=arguments.unreadable,
    )
    for source, reason in faces.skipped:
        print(f"skipped {source}: {reason}", file=sys.stderr)
    report = calibrate(
        model,
        faces,
        occlusions=Occlusions(recipe.occluders, PLACEMENTS.build(recipe.placement), share=1 - recipe.clean_share),
        samples=arguments.samples,
        seed=arguments.seed,
        progress=not arguments.quiet,
    )
    save_weights(model, out)
    if figure is not None:
        _draw(report, figure)
    if arguments.json:
        print(json.dumps({**report.to_dict(), "weights": str(out), "figure": str(figure) if figure else None}))
        return
    print(f"temperature {report.temperature:g}, fitted to {report.faces} faces; saved in {out}")
    print(f"{'expected calibration error':28}{'before':>8}{'after':>8}   (bins of equal mass: before, after)")
    before, after = report.before, report.after
    for name in before.by_width:
        widths = f"{before.ece(name):8.4f}{after.ece(name):8.4f}"
        print(f"{_PANELS.get(name, name):28}{widths}   ({before.by_mass[name].ece:.4f}, {after.by_mass[name].ece:.4f})")


def _draw(report: CalibrationReport, path: Path) -> None:
    panels = [
        ReliabilityPanel(title, {"before": report.before.by_width[name], "after": report.after.by_width[name]})
        for name, title in _PANELS.items()
    ]
    note = f"temperature {report.temperature:g}, fitted to {report.faces} faces of these draws"
    try:
        draw_reliability(panels, note=note).save(path)
    except OSError as e:
        raise OptionError(f"cannot write a picture to {path} ({e})") from e
