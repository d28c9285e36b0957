"""`occmask explain`: one face, and what the model believes is covered."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..errors import OptionError
from ..images.pixels import sized
from ..images.reading import read_picture, shown
from ..measure import answers
from ..models import load_model
from ..report.figures import FacePicture, draw_face
from .settings import check_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("face", type=Path, help="an aligned face")
    parser.add_argument("--weights", type=Path, required=True, help="a model with an occlusion head")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the picture to write, such as out.png")
    parser.add_argument("--resize", action="store_true", help="accept an aligned face of another size, and resize it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    out = check_output(arguments.out)
    model = load_model(arguments.weights)
    if not model.sees_occlusion:
        raise OptionError(
            f"{arguments.weights} holds a model without an occlusion head; explain needs one, such as FROM"
        )
    picture = read_picture(arguments.face)
    size = model.config.image_size
    image = sized(picture, size, shown(arguments.face), resize=arguments.resize)
    answer = answers(model, image[None])
    cells, box, covered = answer.cells[0].numpy(), answer.box[0].numpy(), answer.covered[0].item()
    drawn = draw_face(FacePicture(image=image, cells=cells, box=box), scale=4)
    try:
        drawn.save(out)
    except (ValueError, OSError) as e:
        raise OptionError(f"cannot write a picture to {out} ({e}); use a name that ends in .png") from e
    if arguments.json:
        print(json.dumps({"covered": covered, "box": box.tolist(), "cells": cells.tolist(), "picture": str(out)}))
        return
    height, width = model.config.image_size
    x0, y0, x1, y1 = (round(float(edge) * side) for edge, side in zip(box, (width, height) * 2, strict=True))
    where = f"most likely the box from ({x0}, {y0}) to ({x1}, {y1})" if box.any() else "most likely nothing"
    print(f"covered with probability {covered:.2f}, {where} of {width} x {height} pixels; drawn in {out}")
