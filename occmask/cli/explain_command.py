"""`occmask explain`: what the model believes is covered, on pictures, folders of them and the frames of animations."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import DataError, OptionError
from ..images.frames import all_frames, files_in_order, num_frames
from ..images.pixels import Pixels, sized
from ..images.reading import shown
from ..images.skipping import Skipped, listed
from ..measure import answers
from ..models import load_model
from ..models.face import FaceModel
from ..report.coverage_picture import draw_coverage
from .explain_output import Explained, OneFile, OutFolder, Sheet
from .settings import check_output

_BATCH = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "faces",
        type=Path,
        nargs="+",
        metavar="FACE",
        help="aligned faces: pictures, folders at any depth (a folder of frames in order is a video), animated GIF, "
        "WebP or PNG, TIFF with several pages; video files are not read: write their frames to a folder first",
    )
    parser.add_argument("--weights", type=Path, required=True, help="a model that sees what is covered")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        help="for one picture the picture to write, such as out.png; otherwise a new or empty folder for a picture of "
        "each face, occlusion.jsonl and sheet.png; without it nothing is drawn",
    )
    parser.add_argument(
        "--sheet", type=int, default=48, metavar="N", help="faces on the sheet, evenly spaced (default: %(default)s)"
    )
    parser.add_argument("--resize", action="store_true", help="accept aligned faces of another size, and resize them")
    parser.add_argument("--json", action="store_true", help="print JSON, a line a face")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    if arguments.sheet < 0:
        raise OptionError(f"--sheet is how many faces are on the sheet, 0 or more, not {arguments.sheet}")
    files = list(_files(arguments.faces, without=arguments.out))
    one = len(arguments.faces) == 1 and not arguments.faces[0].is_dir() and num_frames(arguments.faces[0]) == 1
    out: OneFile | OutFolder | None = None
    if arguments.out is not None:
        out = OneFile(check_output(arguments.out)) if one else OutFolder(arguments.out, Sheet(arguments.sheet))
    model = load_model(arguments.weights)
    if not model.sees_occlusion:
        raise OptionError(
            f"{arguments.weights} holds a model that does not see what is covered; explain needs one with an occlusion "
            "head, such as FROM or one with occmask.attach(model, 'occupancy')"
        )
    skipped: list[Skipped] = []
    count = 0
    bar = tqdm(desc="explaining", unit="face", disable=arguments.quiet or one, dynamic_ncols=True)
    for explained in _explained(model, files, skipped, resize=arguments.resize):
        count += 1
        record = explained.record()
        if out is not None:
            record["picture"] = out.write(draw_coverage(explained.drawing()), explained)
        if arguments.json:
            print(json.dumps(record), flush=True)
        elif one or out is None:
            print(explained.in_words(model.config.image_size))
        bar.update()
    bar.close()
    if not count:
        raise DataError(f"no face could be read: {listed(skipped)}" if skipped else "there is no file in the folder")
    for source, reason in skipped:
        print(f"skipped {source}: {reason}", file=sys.stderr)
    if out is not None:
        told = out.finish()
        if not arguments.json:
            print(told if one else f"{count} faces {told}; {len(skipped)} skipped")


def _files(given: Sequence[Path], *, without: Path | None) -> Iterator[tuple[Path, str]]:
    """Every file, and what it is called: its path below the folder that was named."""
    for path in given:
        if not path.is_dir():
            yield path, path.name
            continue
        for file in files_in_order(path):
            if without is None or without.absolute() not in file.absolute().parents:
                name = file.relative_to(path)
                yield file, (name if len(given) == 1 else path.absolute().name / name).as_posix()


def _explained(
    model: FaceModel, files: Sequence[tuple[Path, str]], skipped: list[Skipped], *, resize: bool
) -> Iterator[Explained]:
    """The answers, in order; what cannot be used is added to `skipped`."""
    waiting: list[tuple[str, int | None, Pixels]] = []
    for path, name in files:
        for found in all_frames([path]):
            try:
                if isinstance(found, DataError):
                    raise found
                image = sized(found.picture, model.config.image_size, shown(path), resize=resize)
            except DataError as e:
                skipped.append(Skipped(str(path), str(e).removeprefix(f"{shown(path)}: ")))
                continue
            waiting.append((name, found.number, image))
            if len(waiting) == _BATCH:
                yield from _answered(model, waiting)
                waiting = []
    if waiting:
        yield from _answered(model, waiting)


def _answered(model: FaceModel, faces: Sequence[tuple[str, int | None, Pixels]]) -> Iterator[Explained]:
    answer = answers(model, np.stack([image for _, _, image in faces]))
    for index, (name, frame, image) in enumerate(faces):
        yield Explained.of(answer, index, name=name, frame=frame, image=image)
