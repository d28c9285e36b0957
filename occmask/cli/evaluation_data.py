"""What `occmask evaluate` measures on: faces, pairs of faces, or probes and a gallery, from the words of its line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from ..data.faces import FaceSet
from ..data.orl import load_orl
from ..data.readers import load_folder
from ..errors import OptionError
from ..images.input_spec import InputSpec
from ..images.pixels import Pixels
from ..images.skipping import Skipped
from ..measure.protocols import face_sets
from ..report.worst_pairs import PairPictures


def default_protocol(arguments: argparse.Namespace) -> str:
    """`pairs` for a set of pairs, else `stress`."""
    return "pairs" if arguments.pairs is not None or Path(arguments.data).suffix == ".bin" else "stress"


def load_data(arguments: argparse.Namespace, spec: InputSpec) -> Any:
    """What the protocol takes, in the model's size; what was skipped is named on stderr.

    Pairs when DATA is a .bin or `--pairs` names a list of them; probes and a gallery with `--gallery`, and with
    `--distractors` other people too; else faces.
    """
    options: dict[str, Any] = {
        "image_size": spec.size,
        "template": arguments.template,
        "resize": arguments.resize,
        "unreadable": arguments.unreadable,
    }
    is_pairs = arguments.pairs is not None or Path(arguments.data).suffix == ".bin"
    if is_pairs and (arguments.gallery is not None or arguments.distractors is not None):
        raise OptionError("--gallery and --distractors go with probes, not with pairs; leave one of them out")
    data: Any
    if arguments.pairs is not None:
        data = _found("occmask.data.pairs:load_pairs")(arguments.pairs, root=arguments.data, **options)
    elif is_pairs and (arguments.protocol or "pairs") == "pairs":
        data = _found("occmask.data.pairs:load_pairs")(arguments.data, **options)
    elif arguments.distractors is not None:
        probes = _faces(arguments.data, options)
        gallery = probes if arguments.gallery is None else _faces(arguments.gallery, options)
        data = _found("occmask.protocols.megaface:WithDistractors")(
            probes=probes, gallery=gallery, distractors=_faces(arguments.distractors, options)
        )
    elif arguments.gallery is not None:
        data = _found("occmask.protocols.inputs:ProbesAndGallery")(
            probes=_faces(arguments.data, options), gallery=_faces(arguments.gallery, options)
        )
    else:
        data = _faces(arguments.data, options)
    _tell("skipped", getattr(data, "skipped", ()))
    _tell("doubtful", getattr(data, "doubtful", ()))
    for faces in face_sets(data):
        if faces is not data:
            _tell("skipped", faces.skipped)
    return data


def pictures_of(data: Any) -> PairPictures:
    """The pictures by the names that a result calls them: on the left of a pair probes, on the right the gallery."""
    if hasattr(data, "gallery"):
        others = [data.distractors] if hasattr(data, "distractors") else []
        return PairPictures(_by_name([data.probes]), _by_name([*others, data.gallery]))
    return PairPictures(*2 * [_by_name(list(face_sets(data)))])


def _by_name(sets: Sequence[FaceSet]) -> Callable[[str], Pixels]:
    places = {faces.name(index): (faces, index) for faces in sets for index in range(len(faces))}

    def picture(name: str) -> Pixels:
        faces, index = places[name]
        return faces.image(index)

    return picture


def _faces(source: str, options: dict[str, Any]) -> FaceSet:
    try:
        load: Callable[..., FaceSet] = resolve_name("occmask.data.sources:load_faces")
    except (ImportError, AttributeError):
        return _folder_or_orl(source, options)
    return load(source, **options)


def _folder_or_orl(source: str, options: dict[str, Any]) -> FaceSet:
    """Until `load_faces` is there."""
    template = options["template"]
    if source == "orl":
        faces = load_orl(image_size=options["image_size"], unreadable=options["unreadable"])
        return faces if template is None else replace(faces, template=template)
    return load_folder(source, **{**options, "template": template or "arcface"})


def _found(path: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = resolve_name(path)
    except (ImportError, AttributeError) as e:
        raise OptionError(f"this version of occmask cannot read such data yet ({e})") from e
    return found


def _tell(what: str, entries: Iterable[Skipped]) -> None:
    for entry in entries:
        print(f"{what} {entry.source}: {entry.reason}", file=sys.stderr)
