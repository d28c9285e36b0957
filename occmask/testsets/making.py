"""Making a test set from faces and a recipe, and making it again from its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data.faces import FaceSet
from ..errors import DataError, OptionError, ShapeError
from ..images.align import Points
from ..images.pixels import Pixels
from ..images.reading import shown
from ..images.skipping import Skipped
from ..images.template import template_points
from ..occluders.occlude import bounding_box
from ..occluders.pictures import Pictures
from ..protocols.inputs import Pairs
from ..spec import Spec
from . import TESTSETS
from .manifest import FORMAT, Manifest, PictureLine, pixels_sha256, versions
from .plan import Job, every_picture, second_of_pairs
from .recipe import Face, Made, Recipe, random_of, training_note
from .writer import TestSetWriter

PUBLISHED_SEED = 100


def make_test_set(
    faces: FaceSet,
    out: str | os.PathLike[str],
    recipe: Spec | str | Mapping[str, Any],
    *,
    seed: int = PUBLISHED_SEED,
    pairs: Pairs | None = None,
    points: Mapping[str, Points] | None = None,
    skipped: Sequence[Skipped] = (),
    resize: bool = False,
    resume: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Write the faces, covered as the recipe (a name or `Spec` of `TESTSETS`) says, under `out`; the manifest's header.

    `out` gets `images/person/picture.png`, the maps `visible/person/picture.png` (white is visible), perhaps `crops/`,
    and `manifest.jsonl`, last.  With `pairs` of these faces only the pictures of pairs are written, the first one clean
    and the second one covered, and `pairs.csv` lists them.  `points` are the pictures' own five points by name; without
    them every face has those of the template.  `skipped` is what was left out besides `faces.skipped`, such as pairs;
    `resize` says whether the faces were resized.  `resume` goes on where a run with the same settings was stopped.

    A picture's random numbers depend on the seed, the recipe's condition and the picture's name alone.  Raises
    `OptionError` for a seed or a folder that cannot be used, `DataError` naming a picture that cannot be read.
    """
    built = TESTSETS.build(recipe)
    spec = _with_defaults(Spec.of(recipe))
    random_of(seed, built.condition, "")  # an unusable seed is known before anything is written
    if points is not None:
        _check_all_have_points(points, faces.names)
    jobs, listed = (every_picture(faces), None) if pairs is None else second_of_pairs(faces, pairs)
    header = {
        "format": FORMAT,
        **versions(),
        "recipe": spec.to_dict(),
        "condition": built.condition,
        "seed": seed,
        "image_size": list(faces.image_size),
        "template": faces.template,
        "resize": resize,
        **_occluders(built),
    }
    others: list[tuple[str, Mapping[str, Any]]] = [
        ("skipped", {"source": source, "reason": reason}) for source, reason in (*faces.skipped, *skipped)
    ]
    others += [("pair", pair._asdict()) for pair in listed or ()]
    with TestSetWriter(out, header, resume=resume) as writer:
        _write(writer, faces, jobs, built, seed=seed, points=points or {}, expected={}, progress=progress)
        return writer.finish(others=others)


def remake_test_set(
    manifest: Manifest, faces: FaceSet, out: str | os.PathLike[str], *, resume: bool = False, progress: bool = False
) -> dict[str, Any]:
    """Write the test set of a manifest again, from the same faces; the header of the new manifest.

    The pixels of every picture are the same, and with the same Pillow the bytes of every file.  Raises `DataError`
    naming what is missing from the source or another picture there, what this version draws otherwise, and occluder
    pictures that have changed.
    """
    was = manifest.header
    try:
        spec, seed = Spec.of(was["recipe"]), int(was["seed"])
        size = tuple(was["image_size"])
    except (KeyError, TypeError, ValueError, OptionError) as e:
        raise DataError(f"the manifest's header has no usable recipe, seed and image_size ({e})") from e
    if faces.image_size != size:
        raise DataError(f"the manifest is of pictures of {size} (height, width), and these are {faces.image_size}")
    built = TESTSETS.build(spec)
    now = _occluders(built)
    for key, value in now.items():
        if was.get(key) != value:
            raise DataError(f"the {key.replace('_', ' ')} are not those that the manifest was made with")
    index = {name: i for i, name in enumerate(faces.names)}
    _check_there(manifest, index)
    jobs = [Job(index[p.source], _inside(p.name), p.condition != "clean") for p in manifest.pictures]
    points = {p.source: np.array(p.points) for p in manifest.pictures if p.points is not None}
    expected = {p.name: p for p in manifest.pictures}
    header = {key: value for key, value in was.items() if key not in ("kind", "counts", "source")} | versions()
    others = [(str(entries["kind"]), {k: v for k, v in entries.items() if k != "kind"}) for entries in manifest.others]
    with TestSetWriter(out, header, resume=resume) as writer:
        _write(writer, faces, jobs, built, seed=seed, points=points, expected=expected, progress=progress)
        return writer.finish(others=others)


def _write(
    writer: TestSetWriter,
    faces: FaceSet,
    jobs: Sequence[Job],
    recipe: Recipe,
    *,
    seed: int,
    points: Mapping[str, Points],
    expected: Mapping[str, PictureLine],
    progress: bool,
) -> None:
    """The pictures of the jobs that the writer does not have yet; they must be those expected, if any are."""
    if [job.name for job in jobs[: len(writer.done)]] != list(writer.done):
        raise DataError(f"{shown(writer.out)} was begun with other pictures; take another folder")
    template = template_points(faces.image_size)
    bar = tqdm(total=len(jobs), initial=len(writer.done), unit=" pictures", disable=not progress)
    with bar:
        for job in jobs[len(writer.done) :]:
            source = faces.name(job.picture)
            image, own = faces.image(job.picture), points.get(source)
            line = expected.get(job.name)
            if line is not None and pixels_sha256(image) != line.source_sha256:
                raise DataError(f"{shown(source)}: not the picture that the manifest was made from")
            made = _made(recipe, job, Face(image, template if own is None else own), seed, source)
            written = _line(job, recipe, source, image, made, own)
            if line is not None and written != line:
                raise DataError(
                    f"{shown(job.name)}: this version covers it otherwise than the manifest says; the manifest names "
                    "the versions it was made with"
                )
            writer.add(written, made)
            bar.update()


def _made(recipe: Recipe, job: Job, face: Face, seed: int, source: str) -> Made:
    if not job.covered:
        return Made(face.image, np.zeros(face.image.shape[:2], bool), "")
    try:
        return recipe(face, random_of(seed, recipe.condition, source))
    except (DataError, ShapeError) as e:
        raise DataError(f"{shown(source)}: {e}") from e


def _line(job: Job, recipe: Recipe, source: str, image: Pixels, made: Made, own: Points | None) -> PictureLine:
    height, width = image.shape[:2]
    fraction = bounding_box(made.covered).astype(float)
    box = np.rint(fraction * (width, height, width, height)).astype(int).tolist()
    covered = int(made.covered.sum())
    return PictureLine(
        name=job.name,
        source=source,
        source_sha256=pixels_sha256(image),
        condition=recipe.condition if job.covered else "clean",
        occluder=made.occluder,
        box=box,
        box_fraction=[edge / side for edge, side in zip(box, (width, height) * 2, strict=True)],
        covered=covered,
        share=covered / (height * width),
        sha256=pixels_sha256(made.image),
        visible_sha256=pixels_sha256(~made.covered),
        crop=None if made.crop is None else list(made.crop),
        points=None if own is None or not job.covered else own.tolist(),
    )


def _with_defaults(recipe: Spec) -> Spec:
    """All options written out, so that a manifest does not depend on what a later version takes for granted."""
    return Spec(recipe.name, **{**TESTSETS.options(recipe.name), **recipe.options})


def _occluders(recipe: Recipe) -> dict[str, Any]:
    """What the header says of the occluders: their specs, the files they are read from, and who may know them."""
    found: dict[str, Any] = {"occluders": [spec.to_dict() for spec in recipe.occluders]}
    files = [
        Path(path) for spec in recipe.occluders if spec.name == "pictures" for path in Pictures(**spec.options).sources
    ]
    if files:
        found["occluder_files"] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    note = training_note(recipe.occluders)
    return found | ({"note": note} if note else {})


def _check_there(manifest: Manifest, index: Mapping[str, int]) -> None:
    missing = list(dict.fromkeys(p.source for p in manifest.pictures if p.source not in index))
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise DataError(f"not in the source, or not readable: {', '.join(map(shown, missing[:5]))}{more}")


def _inside(name: str) -> str:
    """A name from a manifest, which somebody else may have written: two parts, neither of which leads elsewhere."""
    parts = name.split("/")
    if len(parts) != 2 or any(part.startswith(".") or not part or "\\" in part or "\0" in part for part in parts):
        raise DataError(f"{name!r} in the manifest is no person/picture.png")
    return name


def _check_all_have_points(points: Mapping[str, Points], names: Sequence[str]) -> None:
    """Raise `DataError` naming pictures that have no points."""
    without = [name for name in names if name not in points]
    if without:
        more = f" and {len(without) - 5} more" if len(without) > 5 else ""
        raise DataError(
            f"{len(without)} of {len(names)} pictures have no points: {', '.join(map(shown, without[:5]))}{more}; "
            "add them, or leave the file out to use those of the template"
        )
