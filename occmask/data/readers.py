"""Every container of records as a `FaceSet`: the pictures are decoded, and checked, and cut to the model's size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..images.pixels import Pixels, check_image_size, crop, fit, is_grey
from ..images.reading import decode_picture, shown
from ..images.skipping import Skipped, check_unreadable, listed
from ..records.folder import FolderReader
from ..records.record import RecordReader
from .faces import FaceSet, Pictures

SAMPLED = 256  # pictures looked at for colour when not all of them are read


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
        picture = decode_picture(record.image, name)
        return fit(picture, self.image_size) if self.resize else crop(picture, self.image_size, name)


def load_folder(
    root: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] = (112, 96),
    template: str = "arcface",
    resize: bool = False,
    unreadable: str = "refuse",
    verify: bool = True,
) -> FaceSet:
    """The pictures of `root/person/picture`, people and files sorted by name; see `faces_of` for the options.

    Names that begin with a dot are ignored; whatever else is no picture in a person's folder is refused or skipped.
    """
    return faces_of(
        FolderReader(root),
        image_size=image_size,
        template=template,
        resize=resize,
        unreadable=unreadable,
        verify=verify,
        where=str(root),
    )


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
    check_unreadable(unreadable)
    pictures = RecordPictures(records, check_image_size(image_size), resize)
    return faces_from_pictures(
        pictures,
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
) -> FaceSet:
    """Look at the pictures, leave out or refuse the bad ones; only people with a picture keep a label."""
    bad, good, coloured = list(known_bad), [], False
    looked_at = range(len(pictures)) if verify else range(0, len(pictures), max(1, len(pictures) // SAMPLED))
    for index in looked_at:
        try:
            coloured = not is_grey(pictures.read(index)) or coloured
            good.append(index)
        except DataError as e:
            name = pictures.name(index)
            bad.append(Skipped(name, str(e).removeprefix(f"{shown(name)}: ")))
    if bad and unreadable == "refuse":
        raise DataError(
            f"{len(bad)} of {len(pictures) + len(known_bad)} entries of {where} cannot be used: {listed(bad)}. "
            "Repair or remove them, or pass unreadable='skip' to leave them out"
        )
    if not good:
        raise DataError(f"no picture of {where} can be read" + (f"; skipped: {listed(bad)}" if bad else ""))
    rows = np.array(good, np.int64) if verify else np.arange(len(pictures))
    present, renumbered = np.unique(labels[rows], return_inverse=True)
    return FaceSet(
        pictures=pictures,
        rows=rows,
        labels=renumbered.reshape(-1),
        people=tuple(people[label] for label in present),
        image_size=image_size,
        template=template,
        grey=not coloured,
        skipped=tuple(bad),
    )
