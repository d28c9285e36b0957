"""`occmask evaluate`: a model on a folder of faces, clean and covered."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..data.orl import load_orl
from ..data.readers import load_folder
from ..data.split import split_gallery_probes
from ..measure import plain, probes_by_condition, score_known_people
from ..models import load_model
from ..occluders.conditions import CONDITIONS
from ..report.table import format_table
from ..version import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, help="a file of occmask.save_weights or a training checkpoint")
    parser.add_argument("faces", help="a folder of identity/image, or 'orl' for the demo's faces")
    parser.add_argument(
        "--gallery", type=int, default=5, help="pictures of each person to enrol (default: %(default)s)"
    )
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=CONDITIONS, metavar="CONDITION")
    parser.add_argument("--far", type=float, default=1e-2, help="false accept rate of the TAR (default: %(default)s)")
    parser.add_argument("--unreadable", default="refuse", choices=["refuse", "skip"], help="(default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    model = load_model(arguments.weights)
    options = {"image_size": model.config.image_size, "unreadable": arguments.unreadable}
    faces = load_orl(**options) if arguments.faces == "orl" else load_folder(arguments.faces, **options)
    for skipped in faces.skipped:
        print(f"skipped {skipped.source}: {skipped.reason}", file=sys.stderr)
    gallery, probes = split_gallery_probes(faces.in_memory(), gallery=arguments.gallery)
    conditions = probes_by_condition(probes, names=arguments.conditions)
    scores = score_known_people(model, gallery, probes, conditions, far=arguments.far)
    sections = {
        "identification": scores.identification,
        "verification": scores.verification,
        "occlusion": scores.occlusion,
    }
    figures = {
        section: {c: {metric: plain(e) for metric, e in found.items()} for c, found in by_condition.items()}
        for section, by_condition in sections.items()
        if by_condition
    }
    results = {
        "occmask": __version__,
        "settings": {"data": str(arguments.faces), "weights": str(arguments.weights), "far": arguments.far},
        "conditions": arguments.conditions,
        "methods": {arguments.weights.stem: figures},
    }
    print(json.dumps(results) if arguments.json else format_table(results))
