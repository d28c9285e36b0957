"""The parts of `occmask gallery` that look at faces, and so need the model."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..devices import device_of, usable_device
from ..errors import DataError, OptionError
from ..gallery.entries import PictureSource
from ..gallery.gallery import Gallery
from ..gallery.texts import check_name
from ..images.pixels import Pixels, sized, to_tensor
from ..images.reading import decode_picture, read_bytes, shown
from ..images.skipping import Skipped
from ..measure.protocols import fingerprint
from ..models import load_model
from ..models.face import FaceModel
from ..records.folder import FolderReader
from ..shapes import Template

_AT_ONCE = 64  # faces in one batch


class _Picture(NamedTuple):
    image: Pixels
    source: PictureSource


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "enrol":
        FolderReader(arguments.faces)  # a wrong folder is told before the model is loaded, and makes no gallery
    elif not arguments.file.exists() and arguments.action != "import":
        raise DataError(f"{shown(arguments.file)}: there is no gallery here; occmask gallery FILE enrol makes one")
    model = load_model(arguments.weights)
    if arguments.action != "import":  # `sized` sees to the size, picture by picture
        spec = model.config.input_spec
        spec.check(size=spec.size, template=arguments.template)
    name = fingerprint(model)
    precision = arguments.precision if arguments.action == "enrol" else None
    with Gallery(arguments.file, model=name, precision=precision) as gallery:
        if arguments.action == "import":
            count = gallery.add_from(arguments.lines)
            print(json.dumps({"pictures": count}) if arguments.json else f"added {count} pictures to {arguments.file}")
            return 0
        model.to(usable_device(arguments.device))
        return {"enrol": _enrol, "identify": _identify, "verify": _verify}[arguments.action](gallery, model, arguments)


def _enrol(gallery: Gallery, model: FaceModel, arguments: argparse.Namespace) -> int:
    """A person at a time, each kept as soon as it is there; a picture that cannot be used stops nobody."""
    reader = FolderReader(arguments.faces)
    skipped = list(reader.skipped)
    people = pictures = 0
    bar = tqdm(total=len(reader), unit=" faces", disable=arguments.quiet, leave=False)
    with bar:
        for label, indices in groupby(range(len(reader)), key=lambda i: int(reader.labels[i])):
            person = reader.people[label]
            usable: list[_Picture] = []
            known = {one.sha256 for one in gallery.pictures(person)} if _has(gallery, person) else set()
            for index in indices:
                try:
                    check_name(person)
                    usable.append(_read(reader.path(index), model, known, resize=arguments.resize))
                    known.add(usable[-1].source.sha256)
                except (DataError, OptionError) as e:
                    path = reader.path(index)
                    skipped.append(Skipped(str(path), str(e).removeprefix(f"{shown(path)}: ")))
                bar.update()
            if usable:
                gallery.enrol(person, _template(model, usable), sources=[one.source for one in usable])
                people, pictures = people + 1, pictures + len(usable)
    if arguments.json:
        print(json.dumps({"people": people, "pictures": pictures, "skipped": [s._asdict() for s in skipped]}))
        return 0
    _tell(skipped)
    print(f"enrolled {pictures} pictures of {people} people into {arguments.file}, skipped {len(skipped)}")
    return 0


def _has(gallery: Gallery, person: str) -> bool:
    try:
        return person in gallery
    except OptionError:  # a name that nobody can have
        return False


def _identify(gallery: Gallery, model: FaceModel, arguments: argparse.Namespace) -> int:
    usable, skipped = _probes(arguments.pictures, model, resize=arguments.resize)
    found = gallery.identify(_template(model, usable), top=arguments.top, best=arguments.best) if usable else ()
    named = [(one.source.name, candidates) for one, candidates in zip(usable, found, strict=True)]
    if arguments.json:
        faces = [{"picture": name, "people": [c._asdict() for c in candidates]} for name, candidates in named]
        print(json.dumps({"faces": faces, "skipped": [s._asdict() for s in skipped]}))
    else:
        _tell(skipped)
        for name, candidates in named:
            people = ", ".join(f"{shown(c.person)} {c.score:.3f}" for c in candidates)
            print(f"{shown(name)}: {people or 'the gallery is empty'}")
    return 0 if usable else 1


def _verify(gallery: Gallery, model: FaceModel, arguments: argparse.Namespace) -> int:
    usable, skipped = _probes(arguments.pictures, model, resize=arguments.resize)
    scores = gallery.verify(arguments.person, _template(model, usable), best=arguments.best).tolist() if usable else []
    least = arguments.threshold
    faces = [
        {"picture": one.source.name, "score": score, "same": None if least is None else score >= least}
        for one, score in zip(usable, scores, strict=True)
    ]
    if arguments.json:
        print(json.dumps({"person": arguments.person, "faces": faces, "skipped": [s._asdict() for s in skipped]}))
    else:
        _tell(skipped)
        words = {None: "", True: ", the same person", False: ", somebody else"}
        for face in faces:
            print(f"{shown(str(face['picture']))}: {face['score']:.3f}{words[face['same']]}")
    return 1 if skipped or any(face["same"] is False for face in faces) else 0


def _probes(paths: Sequence[Path], model: FaceModel, *, resize: bool) -> tuple[list[_Picture], list[Skipped]]:
    usable, skipped = [], []
    for path in paths:
        try:
            picture = _read(path, model, set(), resize=resize)
            usable.append(picture._replace(source=PictureSource(name=str(path), sha256=picture.source.sha256)))
        except DataError as e:
            skipped.append(Skipped(str(path), str(e).removeprefix(f"{shown(path)}: ")))
    return usable, skipped


def _read(path: Path, model: FaceModel, known: set[str], *, resize: bool) -> _Picture:
    content = read_bytes(path)
    digest = hashlib.sha256(content).hexdigest()
    if digest in known:
        raise DataError(f"{shown(path)}: this very picture is enrolled already")
    image = sized(decode_picture(content, shown(path)), model.config.image_size, shown(path), resize=resize)
    return _Picture(image, PictureSource(name=path.name, sha256=digest))


def _template(model: FaceModel, pictures: Sequence[_Picture]) -> Template:
    made = list(_templates(model, pictures))
    embedding = torch.cat([one.embedding for one in made])
    parts, visible = _joined([one.parts for one in made]), _joined([one.visible for one in made])
    return Template(embedding, parts, visible, made[0].grid)


def _joined(batches: Sequence[Tensor | None]) -> Tensor | None:
    there = [batch for batch in batches if batch is not None]
    return torch.cat(there) if there else None


def _templates(model: FaceModel, pictures: Sequence[_Picture]) -> Iterator[Template]:
    for start in range(0, len(pictures), _AT_ONCE):
        images = np.stack([one.image for one in pictures[start : start + _AT_ONCE]])
        with torch.inference_mode():
            template = model.template(to_tensor(images, model.config.input_spec).to(device_of(model)))
        tensors = [None if x is None else x.float().cpu() for x in template[:3]]
        yield Template(tensors[0], tensors[1], tensors[2], template.grid)  # type: ignore[arg-type]


def _tell(skipped: Sequence[Skipped]) -> None:
    for one in skipped:
        print(f"skipped {shown(one.source)}: {one.reason}", file=sys.stderr)
