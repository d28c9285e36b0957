"""`FacePairs`: verification pairs over distinct pictures, from InsightFace's .bin, LFW's pairs.txt and own lists."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ShapeError
from ..images.pixels import check_image_size
from ..images.reading import shown
from ..images.skipping import Skipped, check_unreadable
from ..records.formats import is_bin
from ..records.pair_lists import BESIDE, read_pair_list, write_pair_list
from .faces import FaceSet
from .pair_people import contradictions, doubts, people_of
from .pair_pictures import find_pictures
from .readers import FaceOptions, faces_from_pictures, faces_of

NAMED = 20  # pictures or pairs that one message names


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
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

    def __repr__(self) -> str:
        return f"<FacePairs: {len(self)} pairs, {int(self.same.sum())} of one person, of {self.faces!r}>"

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
    "orl".  Left out, it is the container that the list lies beside (`faces.tar` of `faces.tar.pairs.csv`), else the
    list's own folder.  A picture is read once, however many pairs show it.  The other options are `load_faces`'s.

    Who is who is taken from the list (LFW's names, person columns) or from the container; else from the pictures'
    folders, if they go with most of the labels; else pictures that pairs of one person join are one person.

    With `unreadable="refuse"` one `DataError` names what is missing or cannot be read, or the pairs that contradict
    each other or the people; with "skip" such pairs are left out, which moves the borders of the folds, and listed.
    """
    check_unreadable(unreadable)
    image_size = check_image_size(image_size)
    if is_bin(path):
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
    listed = read_pair_list(path)
    names = dict.fromkeys(name for pair in listed for name in (pair.left, pair.right))
    root = _root(Path(path)) if root is None else root
    found = find_pictures(names, root, image_size=image_size, resize=resize)
    if not found.rows or (found.missing and unreadable == "refuse"):
        raise DataError(
            f"{shown(path)}: {len(found.missing)} of {len(names)} pictures named are not in {shown(root)}: "
            f"{_some(found.missing)}; pass root=, the folder or container that their names start from"
            + (", or leave their pairs out (unreadable='skip', --unreadable skip)" if found.rows else "")
        )
    pairs = [pair for pair in listed if {pair.left, pair.right} <= found.rows.keys()]
    lost = [pair for pair in listed if not {pair.left, pair.right} <= found.rows.keys()]
    skipped = [Skipped(str(pair), "a picture of it was not found") for pair in lost]
    rows = np.array([(found.rows[pair.left], found.rows[pair.right]) for pair in pairs], np.int64).reshape(-1, 2)
    same = np.array([pair.same for pair in pairs], bool)
    people = people_of(pairs, found, rows, same)
    wrong = contradictions(rows, same, people)
    described = [Skipped(str(pairs[index]), why) for index, why in wrong.items()]
    if wrong and unreadable == "refuse":
        raise DataError(
            f"{shown(path)}: {len(wrong)} of {len(pairs)} pairs contradict others, or the people in them: "
            f"{_some(described)}. Correct them, or leave them out (unreadable='skip', --unreadable skip)"
        )
    skipped += described
    kept = np.array([index for index in range(len(pairs)) if index not in wrong], np.int64)
    if not len(kept):
        raise DataError(f"{shown(path)}: no pair can be used; left out: {_some(skipped)}")
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
    return _of_readable(faces, rows[kept], same[kept], [str(pairs[index]) for index in kept], skipped)


def load_bin_pairs(path: str | os.PathLike[str], **options: Unpack[FaceOptions]) -> FacePairs:
    """The pairs of an InsightFace verification set (.bin); identical pictures are one.

    The options are those of `faces_of`.  Contradictory pairs stay in, as in the published figures, and are in
    `.doubtful`; pairs with a picture that cannot be read are refused, or skipped and listed.
    """
    records = resolve_name("occmask.records.pickled.reader:BinReader")(path)
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
    same = same[kept]
    doubtful = [Skipped(names[kept[pair]], why) for pair, why in doubts(ends[kept], same, faces.labels).items()]
    return FacePairs.among(faces, ends[kept, 0], ends[kept, 1], same, skipped=[*skipped, *lost], doubtful=doubtful)


def _root(path: Path) -> Path:
    container = path.with_name(path.name.removesuffix(BESIDE))
    return container if container != path and container.exists() else path.parent


def _some(bad: Sequence[Skipped]) -> str:
    named = "; ".join(f"{shown(source)}: {reason}" for source, reason in bad[:NAMED])
    return named + (f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else "")
