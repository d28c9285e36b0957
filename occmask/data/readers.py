"""Every container of records as a `FaceSet`: the pictures are decoded, and checked, and cut to the model's size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..images.pixels import Pixels, check_image_size, is_grey, sized
from ..images.reading import decode_picture, shown
from ..images.skipping import Skipped, check_unreadable, listed
from ..records.record import RecordReader
from .faces import FaceSet, Pictures

SAMPLED = 256  # pictures looked at for colour when not all of them are read


class FaceOptions(TypedDict, total=False):
    """The options of `faces_of`, for functions that hand them on."""

    image_size: tuple[int, int]
    template: str
    resize: bool
    unreadable: str
    verify: bool


@dataclass(frozen=True)
class RecordPictures:
    """The decoded pictures of a container; `resize` allows another size than the model's."""

    records: RecordReader
    image_size: tuple[int, int]
    resize: bool

    def __len__(self) -> int:
        return len(self.records)

    def name(self, index: int) -> str:
        return self.records.name(index)

    def read(self, index: int) -> Pixels:
        record = self.records[index]
        name = shown(record.name)
        return sized(decode_picture(record.image, name), self.image_size, name, resize=self.resize)


class FaceLoader:
    """Loads the face sets of one format; every format is loaded with the same options, those of `faces_of`.

    `reader` names the class that opens a container, "module:attribute": it is imported when it is first needed, so that
    a format costs nothing, and needs no package, before it is used.
    """

    def __init__(self, reader: str, description: str):
        self.reader, self.__doc__ = reader, description

    def __call__(
        self,
        path: str | os.PathLike[str],
        *,
        image_size: tuple[int, int] = (112, 96),
        template: str = "arcface",
        resize: bool = False,
        unreadable: str = "refuse",
        verify: bool = True,
    ) -> FaceSet:
        return faces_of(
            resolve_name(self.reader)(path),
            image_size=image_size,
            template=template,
            resize=resize,
            unreadable=unreadable,
            verify=verify,
            where=shown(path),
        )


load_folder = FaceLoader(
    "occmask.records.folder:FolderReader",
    """The pictures of `root/person/picture`, people and files sorted by name.

    Names that begin with a dot are ignored; whatever else is no picture in a person's folder is refused or skipped.
    """,
)
load_list = FaceLoader("occmask.records.list_file:ListReader", "The pictures of a list file, with their people.")
load_rec = FaceLoader(
    "occmask.records.recordio.reader:RecReader", "InsightFace's train.rec with its train.idx and property."
)
load_lmdb = FaceLoader("occmask.records.lmdbs.reader:LmdbReader", "An LMDB of encoded pictures (extra: occmask[lmdb]).")
load_tar = FaceLoader("occmask.records.tarred.reader:TarReader", "One tar of pictures, or a folder of tar shards.")
load_bin = FaceLoader(
    "occmask.records.pickled.reader:BinReader", "The distinct pictures of an InsightFace verification set (.bin)."
)
load_container = FaceLoader("occmask.records.formats:open_records", "Any of the formats, known by its content.")


def faces_of(
    records: RecordReader,
    *,
    image_size: tuple[int, int] = (112, 96),
    template: str = "arcface",
    resize: bool = False,
    unreadable: str = "refuse",
    verify: bool = True,
    where: str,
) -> FaceSet:
    """The records of a container as a `FaceSet`.

    Pictures must have `image_size`, or be wider crops of the same alignment (112x112 for 112x96): `resize` allows any
    other size, at a cost in accuracy that nobody sees.  `template` says how they are aligned.  `verify` decodes every
    picture once, so that a bad one is known before training begins.  With `unreadable="refuse"` one `DataError` names
    every entry that cannot be used; with "skip" they are listed in `.skipped` with the reasons.  Without `verify` a bad
    picture is an error when it is read, and colour is looked for in a sample.  Raises `DataError` also when there is no
    picture at all.
    """
    image_size = check_image_size(image_size)
    return faces_from_pictures(
        RecordPictures(records, image_size, resize),
        labels=records.labels,
        people=records.people,
        image_size=image_size,
        template=template,
        known_bad=records.skipped,
        unreadable=unreadable,
        verify=verify,
        where=where,
    )


def faces_from_pictures(
    pictures: Pictures,
    *,
    labels: NDArray[np.int64],
    people: Sequence[str],
    image_size: tuple[int, int],
    template: str,
    known_bad: Sequence[Skipped],
    unreadable: str,
    verify: bool,
    where: str,
    rows: NDArray[np.int64] | None = None,
) -> FaceSet:
    """Look at the pictures, leave out or refuse the bad ones; only people with a picture keep a label.

    `labels` has one for each of the pictures; `rows` are those that the set is made of, all if left out.
    """
    check_unreadable(unreadable)
    rows = np.arange(len(pictures)) if rows is None else rows
    bad, good, coloured = list(known_bad), [], False
    for index in (rows if verify else rows[:: max(1, len(rows) // SAMPLED)]).tolist():
        try:
            coloured = not is_grey(pictures.read(index)) or coloured
            good.append(index)
        except DataError as e:
            name = pictures.name(index)
            bad.append(Skipped(name, str(e).removeprefix(f"{shown(name)}: ")))
    if bad and unreadable == "refuse":
        raise DataError(
            f"{len(bad)} of {len(rows) + len(known_bad)} entries of {where} cannot be used: {listed(bad)}. "
            "Repair or remove them, or leave them out (unreadable='skip', --unreadable skip)"
        )
    if not good:
        raise DataError(f"no picture of {where} can be read" + (f"; skipped: {listed(bad)}" if bad else ""))
    rows = np.array(good, np.int64) if verify else rows
    present, renumbered = np.unique(labels[rows], return_inverse=True)
    return FaceSet(
        pictures=pictures,
        rows=rows,
        labels=renumbered.reshape(-1),
        people=tuple(people[label] for label in present),
        image_size=image_size,
        template=template,
        grey=not coloured,
        skipped=tuple(bad if verify else known_bad),
    )
