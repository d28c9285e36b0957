"""Draw the part of each face that a model looks at once more."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tqdm import tqdm

import occmask

_BATCH, _SCALE, _COLOUR = 64, 4, (255, 210, 0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", metavar="IN", help="aligned faces: a folder, .rec, tar, LMDB, list file, or 'orl'")
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder for the pictures; made if it is not there")
    parser.add_argument("--weights", type=Path, required=True, help="a model with a part locator, such as LPD")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N faces")
    parser.add_argument("--template", metavar="NAME", help="how the faces are aligned, where they do not say it")
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument("--json", action="store_true", help="print the boxes, x0 y0 x1 y1 over width and height")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    if arguments.first is not None and arguments.first < 1:
        raise occmask.OptionError(f"--first is at least 1, not {arguments.first}")
    model = occmask.load_model(arguments.weights)
    if model.part_locator is None:
        raise occmask.OptionError(
            f"{arguments.weights} holds a model that looks at the whole face only; train one with a part locator, such "
            "as occmask train ... --recipe lpd_masks --model lpd_tiny"
        )
    spec = model.config.input_spec
    faces = occmask.load_faces(
        arguments.faces, image_size=spec.size, template=arguments.template, resize=arguments.resize
    )
    spec.check(size=faces.image_size, template=faces.template)
    if arguments.first is not None:
        faces = faces.select(range(min(arguments.first, len(faces))))
    _make_folder(arguments.out)
    boxes = []
    bar = tqdm(total=len(faces), desc="lpd-parts", unit="face", disable=arguments.quiet, dynamic_ncols=True)
    for index, image, box in _located(model, faces):
        # A number in front, because names of different people may be the same but for their folders
        picture = arguments.out / f"{index:06d}_{Path(faces.name(index)).stem}.png"
        draw_part(image, box).save(picture)
        boxes.append({"face": faces.name(index), "picture": str(picture), "box": [round(float(x), 4) for x in box]})
        bar.update()
    bar.close()
    if arguments.json:
        print(json.dumps(boxes))
        return
    print(f"{len(boxes)} pictures in {arguments.out}", file=sys.stderr)


def draw_part(image: NDArray[np.uint8], box: NDArray[np.float32]) -> Image.Image:
    """A face (H, W, 3), four times as large, with the box (4,), x0 y0 x1 y1 over W H W H, drawn on it.

    What lies outside the box is darker; an edge beyond the picture is drawn at its border.
    """
    height, width = image.shape[:2]
    large = Image.fromarray(image).resize((width * _SCALE, height * _SCALE), Image.Resampling.BICUBIC)
    x0, y0, x1, y1 = (
        round(float(np.clip(edge, 0, 1)) * (side * _SCALE - 1))
        for edge, side in zip(box, (width, height) * 2, strict=True)
    )
    drawn = large.point(lambda value: value // 2)
    drawn.paste(large.crop((x0, y0, x1 + 1, y1 + 1)), (x0, y0))
    ImageDraw.Draw(drawn).rectangle((x0, y0, x1, y1), outline=_COLOUR, width=3)
    return drawn


def _located(
    model: occmask.FaceModel, faces: occmask.FaceSet
) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.float32]]]:
    for start in range(0, len(faces), _BATCH):
        chosen = range(start, min(start + _BATCH, len(faces)))
        images = faces.images(chosen)
        with torch.inference_mode():
            boxes = model(occmask.to_tensor(images, model.config.input_spec)).part
        assert boxes is not None
        yield from zip(chosen, images, boxes.numpy(), strict=True)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise occmask.OptionError(f"cannot make the folder {path}: {e.strerror}; choose another one") from e
