"""PSNR and SSIM of the covered parts of faces: as they are, filled with the mean face, and restored."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import occmask

from .measuring import CANDIDATES, CoveredQuality, measure_quality
from .restoring import load_restoring_model

_CALLED = {
    "covered": "covered input",
    "mean_face": "mean face, true place",
    "mean_face_found": "mean face, found place",
    "restored": "restored",
    "painted": "its face, true place",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, help="a model with a restorer")
    parser.add_argument("faces", nargs="?", default="orl", help="faces of known people (default: %(default)s)")
    parser.add_argument(
        "--gallery",
        type=int,
        default=5,
        metavar="N",
        help="each person's first N pictures, those it was trained on, make the mean face; the others are measured "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--conditions", nargs="+", metavar="NAME", help="some of the test conditions (default: every one that covers)"
    )
    parser.add_argument("--template", metavar="NAME", help="how the pictures are aligned, where they do not say")
    parser.add_argument("--device", default="cpu", help="such as cuda (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    model = load_restoring_model(arguments.weights, device=arguments.device)
    spec = model.config.input_spec
    faces = occmask.load_faces(arguments.faces, image_size=spec.size, template=arguments.template)
    spec.check(size=faces.image_size, template=faces.template)
    training, probes = occmask.split_gallery_probes(faces, gallery=arguments.gallery)
    found = measure_quality(model, training, probes, names=arguments.conditions, progress=not arguments.quiet)
    if arguments.json:
        print(json.dumps({name: _plain(quality) for name, quality in found.items()}))
        return
    print(format_quality(found))


def format_quality(found: dict[str, CoveredQuality]) -> str:
    """One line for each condition and candidate; 95 % intervals over people."""
    lines = [f"{'condition':<12} {'':<22} {'PSNR of the covered part, dB':<30} SSIM of the covered part"]
    for condition, quality in found.items():
        for candidate in CANDIDATES:
            decibels, similarity = quality.psnr[candidate], quality.ssim[candidate]
            lines.append(
                f"{condition if candidate == CANDIDATES[0] else '':<12} {_CALLED[candidate]:<22} "
                f"{f'{decibels.value:.2f} [{decibels.low:.2f}, {decibels.high:.2f}]':<30} "
                f"{similarity.value:.3f} [{similarity.low:.3f}, {similarity.high:.3f}]"
            )
    return "\n".join(lines)


def _plain(quality: CoveredQuality) -> dict[str, Any]:
    def plain(measure: Any) -> dict[str, Any]:
        return {
            candidate: {bound: float(np.float64(getattr(estimate, bound))) for bound in ("value", "low", "high")}
            for candidate, estimate in measure.items()
        }

    return {"faces": quality.faces, "psnr": plain(quality.psnr), "ssim": plain(quality.ssim)}
