"""Draw what a model with MSML's refiner segments as covered, and measure how well that meets the truth."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from tqdm import tqdm

import occmask

from .measure import PROBE_SEED, measure_conditions, require_segmentation, segment

_SCALE = 3  # of the overlay, so that a face of 112 x 96 pixels can be looked at
_TINT, _EDGE = (230, 60, 40), (255, 230, 0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pictures", nargs="*", type=Path, help="aligned faces to segment")
    parser.add_argument("--weights", type=Path, required=True, help="a model with a refiner, such as a trained msml")
    parser.add_argument("-o", "--out", type=Path, help="the folder for the overlays, one PNG a picture")
    parser.add_argument("--measure", metavar="FACES", help="faces to cover and segment: 'orl', or faces in any format")
    parser.add_argument(
        "--conditions", nargs="+", metavar="NAME", default=list(occmask.CONDITIONS), help="of --measure (default: all)"
    )
    parser.add_argument(
        "--skip", type=int, default=0, metavar="N", help="leave out each person's first N, which training saw (0)"
    )
    parser.add_argument("--seed", type=int, default=PROBE_SEED, help="of --measure's occlusions (default: %(default)s)")
    parser.add_argument("--template", metavar="NAME", help="how the faces are aligned, where they do not say it")
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    if not arguments.pictures and arguments.measure is None:
        raise occmask.OptionError("nothing to do: name pictures to segment, or faces to --measure on, such as orl")
    if arguments.pictures and arguments.out is None:
        raise occmask.OptionError("--out is missing: name the folder for the overlays")
    model = occmask.load_model(arguments.weights)
    require_segmentation(model)
    found: dict[str, Any] = {}
    if arguments.pictures:
        found["pictures"] = _draw(model, arguments.pictures, arguments.out, resize=arguments.resize)
    if arguments.measure is not None:
        found["conditions"] = _measure(model, arguments)
    if arguments.json:
        print(json.dumps(found))
        return
    for entry in found.get("pictures", ()):
        print(f"{entry['picture']}: {100 * entry['covered']:.1f} % covered; drawn in {entry['overlay']}")
    if "conditions" in found:
        print(f"{'condition':<12} {'IoU':>6} {'predicted':>10} {'covered':>8}")
        for name, figures in found["conditions"].items():
            shares = f"{100 * figures['predicted']:>8.1f} % {100 * figures['covered']:>6.1f} %"
            print(f"{name:<12} {figures['iou']:>6.3f} {shares}")


def _draw(model: occmask.FaceModel, pictures: Sequence[Path], out: Path, *, resize: bool) -> list[dict[str, Any]]:
    targets = [out / f"{picture.stem}.png" for picture in pictures]
    for picture, target in zip(pictures, targets, strict=True):
        if targets.count(target) > 1 or target.resolve() == picture.resolve():
            raise occmask.OptionError(f"{target} would be written over; give the pictures other names or another --out")
    size = model.config.image_size
    images = np.stack([occmask.sized(occmask.read_picture(p), size, str(p), resize=resize) for p in pictures])
    covered = segment(model, images)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for image, share, target in zip(images, covered, targets, strict=True):
            overlay(image, share).save(target)
    except OSError as e:
        raise occmask.OptionError(f"cannot write to {out}: {e.strerror or e}; choose another folder") from e
    shares = [float((one >= 0.5).mean()) for one in covered]
    rows = zip(pictures, targets, shares, strict=True)
    return [{"picture": str(p), "overlay": str(target), "covered": share} for p, target, share in rows]


def overlay(image: NDArray[np.uint8], covered: NDArray[np.float32]) -> Image.Image:
    """The picture (H, W, 3) with what is probably covered (H, W) tinted red and edged in yellow, enlarged."""
    height, width = covered.shape
    size = (_SCALE * width, _SCALE * height)
    drawn = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC), np.float32)
    large = Image.fromarray(np.asarray(covered, np.float32)).resize(size, Image.Resampling.BILINEAR)
    inside = np.asarray(large) >= 0.5
    spread = np.asarray(Image.fromarray((inside * np.uint8(255)).astype(np.uint8)).filter(ImageFilter.MaxFilter(3)))
    drawn = np.where(inside[..., None], 0.55 * drawn + 0.45 * np.array(_TINT, np.float32), drawn)
    drawn = np.where(((spread > 0) & ~inside)[..., None], np.array(_EDGE, np.float32), drawn)
    return Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8))


def _measure(model: occmask.FaceModel, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    faces = occmask.load_faces(
        arguments.measure,
        image_size=model.config.image_size,
        template=arguments.template,
        resize=arguments.resize,
    )
    faces = _later_pictures(faces, arguments.skip)
    measured = measure_conditions(model, faces, conditions=arguments.conditions, seed=arguments.seed)
    bar = tqdm(measured, total=len(arguments.conditions), unit="condition", disable=arguments.quiet)
    return {name: figures._asdict() for name, figures in bar}


def _later_pictures(faces: occmask.FaceSet, skip: int) -> occmask.FaceSet:
    """Each person's pictures after the first `skip`, in their order."""
    seen: Counter[int] = Counter()
    kept = []
    for index, label in enumerate(faces.labels.tolist()):
        seen[label] += 1
        if seen[label] > skip:
            kept.append(index)
    if not kept:
        raise occmask.OptionError(f"--skip {skip} leaves no picture of anybody; give a smaller number")
    return faces.select(kept)
