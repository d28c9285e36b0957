"""`FaceSet`: pictures of people, read from their files when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, OptionError, ShapeError
from .images import Pixels, check_image_size, fit, is_grey, read_picture, shown

R = TypeVar("R")


class Skipped(NamedTuple):
    """A file that was left out, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class ReadFile:
    """Reads one picture file as uint8 (H, W, 3); a class, so that worker processes can receive it."""

    image_size: tuple[int, int]

    def __call__(self, source: str) -> Pixels:
        return fit(read_picture(source), self.image_size)


@dataclass(frozen=True)
class _Kept:
    pictures: dict[str, Pixels]

    def __call__(self, source: str) -> Pixels:
        return self.pictures[source]


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceSet:
    """N pictures of known people; nothing is held in memory before `in_memory()` is called.

    `labels` (N,) int64 index `people`; `sources` (N,) say where each picture comes from; `grey` is True
    when no picture has colour; `skipped` lists what was left out, with reasons; `read(source)` yields
    uint8 (H, W, 3) with `image_size` = (H, W).
    """

    sources: tuple[str, ...]
    labels: NDArray[np.int64]
    people: tuple[str, ...]
    image_size: tuple[int, int]
    read: Callable[[str], Pixels]
    grey: bool = False
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        labels = np.array(self.labels, np.int64)
        if labels.shape != (len(self.sources),):
            raise ShapeError(f"{len(self.sources)} pictures need as many labels, not labels of shape {labels.shape}")
        if len(labels) and (labels.min() < 0 or labels.max() >= len(self.people)):
            raise DataError(
                f"labels index the {len(self.people)} people, 0..{len(self.people) - 1}, "
                f"not {labels.min()}..{labels.max()}"
            )
        labels.flags.writeable = False
        object.__setattr__(self, "labels", labels)

    @classmethod
    def from_arrays(cls, images: Pixels, labels: ArrayLike, *, people: Sequence[str] | None = None) -> FaceSet:
        """A set of pictures already in memory: uint8 (N, H, W, 3) and their labels (N,)."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ShapeError(f"pictures are uint8 (N, H, W, 3), not {images.dtype} {images.shape}")
        label = np.asarray(labels, np.int64)
        names = people if people is not None else [f"person {i}" for i in range(int(label.max(initial=-1)) + 1)]
        pictures = {f"picture {i}": image for i, image in enumerate(images)}
        return cls(
            sources=tuple(pictures),
            labels=label,
            people=tuple(names),
            image_size=(images.shape[1], images.shape[2]),
            read=_Kept(pictures),
            grey=is_grey(images),
        )

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def num_people(self) -> int:
        """How many different people the pictures show (a selection may show fewer than `people` names)."""
        return len(np.unique(self.labels))

    def image(self, index: int) -> Pixels:
        """One picture, uint8 (H, W, 3); `DataError` naming the file when it cannot be read any more."""
        return self.read(self.sources[index])

    def images(self, indices: Iterable[int] | None = None) -> Pixels:
        """The chosen pictures, or all of them, uint8 (n, H, W, 3)."""
        chosen = range(len(self)) if indices is None else list(indices)
        out = np.empty((len(chosen), *self.image_size, 3), np.uint8)
        for row, index in enumerate(chosen):
            out[row] = self.image(int(index))
        return out

    def select(self, indices: ArrayLike) -> FaceSet:
        """The pictures at `indices`, in that order, with the labels they have here.

        Raises `DataError` for an index outside the set.
        """
        chosen = np.asarray(indices)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        if chosen.ndim != 1 or (len(chosen) and not (-len(self) <= chosen.min() and chosen.max() < len(self))):
            raise DataError(f"indices are one row of numbers in 0..{len(self) - 1}; the set has {len(self)} pictures")
        return replace(self, sources=tuple(self.sources[i] for i in chosen), labels=self.labels[chosen])

    def relabel(self) -> FaceSet:
        """The same pictures with labels 0..n-1 for the n people who are present, in the order of `people`."""
        present, labels = np.unique(self.labels, return_inverse=True)
        return replace(self, labels=labels.reshape(-1), people=tuple(self.people[i] for i in present))

    def in_memory(self) -> FaceSet:
        """The same set with every picture read now and kept: H * W * 3 bytes each."""
        return replace(self, read=_Kept({source: self.read(source) for source in dict.fromkeys(self.sources)}))


def check_unreadable(unreadable: str) -> str:
    """What to do about a file that cannot be used: "refuse" or "skip"; `OptionError` otherwise."""
    if unreadable not in ("refuse", "skip"):
        raise OptionError(f"unreadable is 'refuse' or 'skip', not {unreadable!r}")
    return unreadable


def read_all(
    paths: Iterable[Path], read: Callable[[Path], R], *, unreadable: str, where: str, known_bad: Iterable[Skipped] = ()
) -> tuple[dict[Path, R], tuple[Skipped, ...]]:
    """Read every file; what raises `DataError` is collected, and skipped or refused all at once.

    `known_bad` is what the caller already found.  Raises one `DataError` of one line that names every bad file.
    """
    good: dict[Path, R] = {}
    bad = list(known_bad)
    for path in paths:
        try:
            good[path] = read(path)
        except DataError as e:
            bad.append(Skipped(str(path), str(e).removeprefix(f"{shown(path)}: ")))
    if bad and unreadable == "refuse":
        raise DataError(
            f"{len(bad)} of {len(good) + len(bad)} files under {where} cannot be used: {_listed(bad)}. "
            "Repair or remove them, or pass unreadable='skip' to leave them out"
        )
    return good, tuple(bad)


def _listed(bad: Iterable[Skipped]) -> str:
    return "; ".join(f"{shown(source)}: {reason}" for source, reason in bad)


def folder(root: str | os.PathLike[str], *, expected: str) -> Path:
    """`root` as an existing folder; `DataError` saying what was expected there otherwise."""
    path = Path(root)
    if not path.exists():
        raise DataError(f"{shown(path)}: no such folder; expected {expected}")
    if not path.is_dir():
        raise DataError(f"{shown(path)}: a file where a folder was expected: {expected}")
    return path


def set_of_files(
    files: Sequence[tuple[str, Path]],
    read: Callable[[str], Pixels],
    *,
    image_size: tuple[int, int],
    unreadable: str,
    where: str,
    known_bad: Iterable[Skipped] = (),
) -> FaceSet:
    """A `FaceSet` of (person, file) pairs in the given order, every file decoded once to see that it can be."""
    image_size = check_image_size(image_size)
    grey, skipped = read_all(
        (path for _, path in files),
        lambda path: is_grey(read(str(path))),
        unreadable=unreadable,
        where=where,
        known_bad=known_bad,
    )
    kept = [(person, path) for person, path in files if path in grey]
    if not kept:
        raise DataError(f"no picture under {where} can be read; skipped: {_listed(skipped)}")
    people = tuple(dict.fromkeys(person for person, _ in kept))
    number = {person: label for label, person in enumerate(people)}
    return FaceSet(
        sources=tuple(str(path) for _, path in kept),
        labels=np.array([number[person] for person, _ in kept], np.int64),
        people=people,
        image_size=image_size,
        read=read,
        grey=all(grey.values()),
        skipped=skipped,
    )
