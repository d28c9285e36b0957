"""Find what covers faces and paint what is behind it: pictures side by side."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

import occmask

from .restoring import Bytes, load_restoring_model, restore

_ENDINGS = {".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_GAP = 4  # white pixels between the three pictures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("faces", type=Path, help="an aligned face, or a folder of them (searched through)")
    parser.add_argument("--weights", type=Path, required=True, help="a model with a restorer")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="folder for one PNG a face: covered, cover, restored"
    )
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument("--device", default="cpu", help="such as cuda (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    model = load_restoring_model(arguments.weights, device=arguments.device)
    files = _files(arguments.faces)
    root = arguments.faces if arguments.faces.is_dir() else arguments.faces.parent
    size = model.config.image_size
    pictures = np.stack(
        [occmask.sized(occmask.read_picture(file), size, str(file), resize=arguments.resize) for file in files]
    )
    restored = restore(model, pictures, progress=not arguments.quiet)
    written = []
    for file, covered, cover, image in zip(files, pictures, restored.cover, restored.images, strict=True):
        target = (arguments.out / file.relative_to(root)).with_suffix(".png")
        _write(target, side_by_side(covered, (255 * cover).round().astype(np.uint8), image))
        written.append({"face": str(file), "covered": round(float(cover.mean()), 4), "picture": str(target)})
    if arguments.json:
        print(json.dumps(written))
        return
    for entry in written:
        print(f"{entry['picture']}  {100 * float(str(entry['covered'])):.0f} % covered")


def side_by_side(covered: Bytes, cover: Bytes, restored: Bytes) -> Bytes:
    """(H, W, 3), (H, W), (H, W, 3) -> one picture (H, 3 W + 2 gaps, 3): covered, detected cover, restored."""
    gap = np.full((len(covered), _GAP, 3), 255, np.uint8)
    return np.concatenate([covered, gap, np.repeat(cover[..., None], 3, axis=2), gap, restored], axis=1)


def _files(faces: Path) -> list[Path]:
    if not faces.is_dir():
        return [faces]
    files = sorted(file for file in faces.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())
    if not files:
        raise occmask.DataError(f"{faces}: no pictures in this folder (looked for {', '.join(sorted(_ENDINGS))})")
    return files


def _write(target: Path, picture: Bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(target)
    except OSError as e:
        raise occmask.OptionError(f"cannot write {target}: {e.strerror or e}; choose another folder") from e
