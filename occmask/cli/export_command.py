"""`occmask export`: a model as a program for torch.export or ONNX Runtime."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..models import export, load_model
from .settings import check_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, help="a file of occmask.save_weights or a training checkpoint")
    parser.add_argument("-o", "--out", type=Path, required=True, help="face.pt2 (torch.export) or face.onnx")
    parser.add_argument("--embedding-only", action="store_true", help="leave out what is covered")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    out = check_output(arguments.out)
    report = export(load_model(arguments.weights), out, occlusion=False if arguments.embedding_only else None)
    if arguments.json:
        print(json.dumps({**report._asdict(), "path": str(report.path)}))
        return
    print(f"{report.path}: {report.path.stat().st_size / 1e6:.1f} MB, any batch size")
    print(f"largest difference from the model over {report.faces} made-up pictures in batches of 1, 3 and 16:")
    for name, worst in report.difference.items():
        print(f"  {name:<10} {worst:.1e}")
    if report.other_boxes:
        print(f"  box        another one for {report.other_boxes} of them, where two are as likely")
