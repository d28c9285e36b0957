"""`FacePairs`: verification pairs over distinct pictures, from InsightFace's .bin, LFW's pairs.txt and own lists."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ShapeError
from ..images.pixels import check_image_size
from ..images.reading import shown
from ..images.skipping import Skipped, check_unreadable
from .faces import FaceSet
from .pair_checks import contradictions, doubts, folders_are_people, joined
from .pair_lists import ListedPair, read_pair_list, write_pair_list
from .pair_pictures import NamedPictures, find_pictures
from .readers import FaceOptions, faces_from_pictures, faces_of

NAMED = 20  # pictures or pairs that one message names


@dataclass(frozen=True, eq=False, kw_only=True)
class FacePairs:
    """P pairs of the N distinct pictures of `faces`, in the order of their folds, which are contiguous.

    `left` and `right` (P,) int64 index `faces`; `same` (P,) bool is True where a pair shows one person.  `skipped`
    lists the pairs that were left out, with reasons (`faces.skipped` the pictures); `doubtful` those that are used and
    say little: repeated, a picture with itself, or against what the other pairs say.
    """

    faces: FaceSet
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    same: NDArray[np.bool_]
    skipped: tuple[Skipped, ...] = ()
    doubtful: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (("left", np.int64), ("right", np.int64), ("same", np.bool_)):
            array = np.array(getattr(self, name), kind)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.left.ndim != 1 or not self.left.shape == self.right.shape == self.same.shape:
            raise ShapeError(
                f"left, right and same are one row of numbers each, all of one length, not {self.left.shape}, "
                f"{self.right.shape} and {self.same.shape}"
            )
        ends = np.concatenate([self.left, self.right])
        if len(ends) and not 0 <= ends.min() <= ends.max() < len(self.faces):
            raise DataError(
                f"pairs index the {len(self.faces)} pictures, 0..{len(self.faces) - 1}, not {ends.min()}..{ends.max()}"
            )

    @classmethod
    def among(
        cls,
        faces: FaceSet,
        left: ArrayLike,
        right: ArrayLike,
        same: ArrayLike,
        *,
        skipped: Sequence[Skipped] = (),
        doubtful: Sequence[Skipped] = (),
    ) -> FacePairs:
        """Pairs of a larger set; only the pictures that a pair shows are kept, in the order of their first pair."""
        ends = np.stack([np.asarray(left, np.int64), np.asarray(right, np.int64)], axis=1)
        used, first, places = np.unique(ends, return_index=True, return_inverse=True)
        order = np.argsort(first)
        places = np.argsort(order)[places].reshape(-1, 2)
        return cls(
            faces=faces.select(used[order]).relabel(),
            left=places[:, 0],
            right=places[:, 1],
            same=np.asarray(same, bool),
            skipped=tuple(skipped),
            doubtful=tuple(doubtful),
        )

    def __len__(self) -> int:
        return len(self.same)


def load_pairs(
    path: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    image_size: tuple[int, int] = (112, 96),
    template: str | None = None,
    resize: bool = False,
    unreadable: str = "refuse",
    verify: bool = True,
) -> FacePairs:
    """The pairs of a file: InsightFace's .bin, LFW's pairs.txt, or a list of the kinds in `parse_pair_list`.

    `root` is what a list's names start from: a folder, a container in any format whose records have these names, or
    "orl"; the list's own folder if left out.  A picture is read once, however many pairs show it.  The other options
    are those of `load_faces`.

    Who is who is taken from the list (LFW's names, person columns) or from the container; else from the pictures'
    folders, if they go with most of the labels; else pictures that pairs of one person join are one person.

    With `unreadable="refuse"` one `DataError` names what is missing or cannot be read, or the pairs that contradict
    each other or the people; with "skip" such pairs are left out, which moves the borders of the folds, and listed.
    """
    check_unreadable(unreadable)
    image_size = check_image_size(image_size)
    if _is_bin(path):
        if root is not None:
            raise DataError(f"{shown(path)} holds its pictures itself; leave out root={os.fspath(root)!r}")
        return load_bin_pairs(
            path,
            image_size=image_size,
            template=template or "arcface",
            resize=resize,
            unreadable=unreadable,
            verify=verify,
        )
    pairs = read_pair_list(path)
    names = dict.fromkeys(name for pair in pairs for name in (pair.left, pair.right))
    root = Path(path).parent if root is None else root
    found = find_pictures(names, root, image_size=image_size, resize=resize)
    if not found.rows or (found.missing and unreadable == "refuse"):
        raise DataError(
            f"{shown(path)}: {len(found.missing)} of {len(names)} pictures named are not in {shown(root)}: "
            f"{_some(found.missing)}; pass root=, the folder or container that their names start from"
            + (", or unreadable='skip' to leave their pairs out" if found.rows else "")
        )
    skipped = [Skipped(str(pair), "a picture of it was not found") for pair in pairs if not _has_both(found, pair)]
    pairs = [pair for pair in pairs if _has_both(found, pair)]
    rows = np.array([(found.rows[pair.left], found.rows[pair.right]) for pair in pairs], np.int64).reshape(-1, 2)
    same = np.array([pair.same for pair in pairs], bool)
    people = _people(pairs, found, rows, same)
    wrong = contradictions(rows[:, 0], rows[:, 1], same, people.labels if people.known else None)
    wrong |= dict.fromkeys(people.torn, "a picture of it is of two people")
    described = [Skipped(str(pairs[index]), why) for index, why in sorted(wrong.items())]
    if wrong and unreadable == "refuse":
        raise DataError(
            f"{shown(path)}: {len(wrong)} of {len(pairs)} pairs contradict others, or the people in them: "
            f"{_some(described)}. Correct them, or pass unreadable='skip' to leave them out"
        )
    kept = np.array([index for index in range(len(pairs)) if index not in wrong], np.int64)
    if not len(kept):
        raise DataError(f"{shown(path)}: no pair can be used; left out: {_some([*skipped, *described])}")
    faces = faces_from_pictures(
        found.pictures,
        labels=people.labels,
        people=people.names,
        image_size=image_size,
        template=template or found.template,
        known_bad=found.missing,
        unreadable=unreadable,
        verify=verify,
        where=shown(path),
        rows=np.unique(rows[kept]),
    )
    return _of_readable(faces, rows[kept], same[kept], [str(pairs[index]) for index in kept], [*skipped, *described])


def load_bin_pairs(path: str | os.PathLike[str], **options: Unpack[FaceOptions]) -> FacePairs:
    """The pairs of an InsightFace verification set (.bin); identical pictures are one.

    The options are those of `faces_of`.  Contradictory pairs stay in, as in the published figures, and are in
    `.doubtful`; pairs with a picture that cannot be read are refused, or skipped and listed.
    """
    records = resolve_name("occmask.records.bin:BinReader")(path)
    faces = faces_of(records, where=shown(path), **options)
    ends = np.stack([records.left, records.right], axis=1).astype(np.int64)
    names = [f"pair {index + 1}" for index in range(len(ends))]
    return _of_readable(faces, ends, np.asarray(records.same, bool), names, [])


def save_pairs(path: str | os.PathLike[str], pairs: FacePairs) -> None:
    """Write a list `left,right,same` of the pictures' names, which `load_pairs` reads."""
    names = pairs.faces.names
    ends = zip(pairs.left.tolist(), pairs.right.tolist(), pairs.same.tolist(), strict=True)
    write_pair_list(path, ((names[left], names[right], same) for left, right, same in ends))


def _of_readable(
    faces: FaceSet, rows: NDArray[np.int64], same: NDArray[np.bool_], names: Sequence[str], skipped: Sequence[Skipped]
) -> FacePairs:
    """The pairs both of whose pictures (rows of `faces.pictures`) are in `faces`; the others are listed."""
    place = np.full(len(faces.pictures), -1)
    place[faces.rows] = np.arange(len(faces))
    ends = place[rows]
    whole = (ends >= 0).all(axis=1)
    lost = [
        Skipped(names[pair], f"{shown(faces.pictures.name(int(rows[pair, int(ends[pair, 0] >= 0)])))} was left out")
        for pair in np.flatnonzero(~whole).tolist()
    ]
    if not whole.any():
        raise DataError(f"no pair can be used; left out: {_some([*skipped, *lost])}")
    kept = np.flatnonzero(whole)
    left, right, same = ends[kept, 0], ends[kept, 1], same[kept]
    doubtful = [Skipped(names[kept[pair]], why) for pair, why in doubts(left, right, same, faces.labels).items()]
    return FacePairs.among(faces, left, right, same, skipped=[*skipped, *lost], doubtful=doubtful)


def _has_both(found: NamedPictures, pair: ListedPair) -> bool:
    return pair.left in found.rows and pair.right in found.rows


class _People(NamedTuple):
    labels: NDArray[np.int64]  # of all pictures that were found, and of their container's others
    names: Sequence[str]
    known: bool  # and not only concluded from the pairs
    torn: Sequence[int] = ()  # pairs with a picture that other pairs call another person


def _people(
    pairs: Sequence[ListedPair], found: NamedPictures, rows: NDArray[np.int64], same: NDArray[np.bool_]
) -> _People:
    listed = [name for pair in pairs for name in (pair.left_person, pair.right_person) if name is not None]
    if len(listed) < 2 * len(pairs):
        if found.labels is not None:
            return _People(found.labels, found.people, known=True)
        left, right = ([found.pictures.name(row) for row in column] for column in rows.T.tolist())
        if not folders_are_people(left, right, same):
            labels = joined(len(found.pictures), rows[same, 0], rows[same, 1])
            names = [f"person {label + 1}" for label in range(labels.max(initial=-1) + 1)]
            return _People(labels, names, known=False)
        listed = [posixpath.dirname(name) for both in zip(left, right, strict=True) for name in both]
    people, of_ends = np.unique(listed, return_inverse=True)
    labels = np.zeros(len(found.pictures), np.int64)
    labels[rows.reshape(-1)] = of_ends.reshape(-1)
    torn = np.flatnonzero((labels[rows] != of_ends.reshape(rows.shape)).any(axis=1))
    return _People(labels, [str(name) for name in people], known=True, torn=torn.tolist())


def _is_bin(path: str | os.PathLike[str]) -> bool:
    """Whether the file is a pickle, by its name or by how pickles of protocol 2 and later begin."""
    if os.fspath(path).endswith(".bin"):
        return True
    try:
        with open(path, "rb") as file:
            beginning = file.read(2)
    except (OSError, ValueError):
        return False  # what is wrong with it is said by whoever reads it
    return len(beginning) == 2 and beginning[0] == 0x80 and 2 <= beginning[1] <= 5


def _some(bad: Sequence[Skipped]) -> str:
    named = "; ".join(f"{shown(source)}: {reason}" for source, reason in bad[:NAMED])
    return named + (f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else "")
