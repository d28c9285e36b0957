"""What `occmask evaluate` measures on: faces, pairs of faces, or probes and a gallery, from the words of its line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.faces import FaceSet
from ..data.pairs import load_pairs
from ..data.sources import load_faces
from ..errors import DataError, OptionError
from ..images.input_spec import InputSpec
from ..images.pixels import Pixels
from ..images.skipping import Skipped
from ..measure.ar import ar_groups, is_ar
from ..measure.protocols import face_sets
from ..protocols.inputs import PartialAndWhole, ProbesAndGallery
from ..protocols.megaface import WithDistractors
from ..records.formats import is_bin
from ..report.worst_pairs import PairPictures
from ..testsets.manifest import FILE, Manifest, read_manifest

PAIRS_FILE = "pairs.csv"  # of a test set that occmask occlude made for pairs


class EvaluationData:
    """DATA of the command line, looked at: a .bin of pairs, a test set of `occmask occlude`, or faces in any format.

    A test set is a folder with a manifest: its pictures are in `images`, its manifest says how they are aligned, and
    its `pairs.csv`, if there is one, which pairs they make.
    """

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        data = Path(arguments.data)
        self.manifest: Manifest | None = read_manifest(data / FILE) if (data / FILE).is_file() else None
        made_pairs = data / PAIRS_FILE if self.manifest is not None and (data / PAIRS_FILE).is_file() else None
        self.pairs: Path | None = Path(arguments.pairs) if arguments.pairs else (data if is_bin(data) else made_pairs)
        searched = arguments.gallery is not None or arguments.distractors is not None
        if searched and arguments.pairs:
            raise OptionError("--gallery and --distractors go with probes, not with pairs; leave one of them out")
        # What has pairs can also be looked at as faces.
        if not arguments.pairs and (searched or arguments.protocol not in (None, "pairs")):
            self.pairs = None
        searched = searched or (self.manifest is None and is_ar(data))
        usual = "megaface" if arguments.distractors is not None else "identification" if searched else "stress"
        self.protocol: str = arguments.protocol or ("pairs" if self.pairs is not None else usual)

    def load(self, spec: InputSpec) -> Any:
        """What the protocol takes, in the model's size; what was skipped is named on stderr."""
        data = self._load(spec)
        _tell("skipped", getattr(data, "skipped", ()))
        _tell("doubtful", getattr(data, "doubtful", ()))
        for faces in face_sets(data):
            if faces is not data:
                _tell("skipped", faces.skipped)
        return data

    def _load(self, spec: InputSpec) -> Any:
        words = self.arguments
        options: dict[str, Any] = {
            "image_size": spec.size,
            "template": words.template,
            "resize": words.resize,
            "unreadable": words.unreadable,
        }
        own = options
        if self.manifest is not None and words.template is None:
            own = {**options, "template": str(self.manifest.header.get("template", "arcface"))}
        if self.pairs is not None:
            if self.pairs == Path(words.data):
                return load_pairs(self.pairs, **own)
            return load_pairs(self.pairs, root=words.data, **own)
        if words.gallery is None and words.distractors is None and is_ar(words.data):
            return ar_groups(words.data, **options)
        faces = load_faces(words.data if self.manifest is None else Path(words.data) / "images", **own)
        gallery = faces if words.gallery is None else load_faces(words.gallery, **options)
        if words.distractors is not None:
            return WithDistractors(faces, gallery, load_faces(words.distractors, **options))
        if words.gallery is None:
            return faces
        if self.protocol == "pfr":
            return PartialAndWhole(faces, gallery, self._visible(faces))
        return ProbesAndGallery(faces, gallery)

    def _visible(self, faces: FaceSet) -> Any:
        """(N,) the share of each face that is left, as the manifest has it."""
        if self.manifest is None:
            raise OptionError(
                "pfr needs to know how much of each face is visible: make the probes with occmask occlude, and give "
                f"the folder that holds {FILE}"
            )
        share = {picture.name: 1 - picture.share for picture in self.manifest.pictures}
        unknown = [name for name in faces.names if name not in share]
        if unknown:
            raise DataError(f"{FILE} does not name {unknown[0]} and {len(unknown) - 1} other pictures beside it")
        return np.array([share[name] for name in faces.names])


def pictures_of(data: Any) -> PairPictures:
    """The pictures by the names that a result calls them: on the left of a pair probes, on the right the gallery."""
    groups = list(data.values()) if isinstance(data, Mapping) else [data]
    if all(hasattr(group, "gallery") for group in groups):
        others = [group.distractors for group in groups if hasattr(group, "distractors")]
        right = [*others, *(group.gallery for group in groups)]
        return PairPictures(_by_name([group.probes for group in groups]), _by_name(right))
    return PairPictures(*2 * [_by_name(list(face_sets(data)))])


def _by_name(sets: Sequence[FaceSet]) -> Callable[[str], Pixels]:
    places = {faces.name(index): (faces, index) for faces in sets for index in range(len(faces))}

    def picture(name: str) -> Pixels:
        faces, index = places[name]
        return faces.image(index)

    return picture


def _tell(what: str, entries: Iterable[Skipped]) -> None:
    for entry in entries:
        print(f"{what} {entry.source}: {entry.reason}", file=sys.stderr)
