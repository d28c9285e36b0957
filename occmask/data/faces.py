"""`FaceSet`: pictures of people, read from wherever they are kept when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ShapeError
from ..images.pixels import Pixels, is_grey
from ..images.skipping import Skipped


class Pictures(Protocol):
    """Decoded pictures by number; an object that worker processes can receive, forked or spawned."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What the picture is called in messages and reports; different for every picture."""
        ...

    def read(self, index: int) -> Pixels:
        """uint8 (H, W, 3), RGB; `DataError` naming the picture when it cannot be read."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayPictures:
    """Pictures in memory: uint8 (N, H, W, 3) and their names."""

    images: Pixels
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        return self.names[index]

    def read(self, index: int) -> Pixels:
        image: Pixels = self.images[index]
        return image


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FaceSet:
    """N pictures of known people; nothing is held in memory before `in_memory()` is called.

    `pictures` holds them, `rows` (N,) says which of those are in the set, in which order.  `labels` (N,) int64 index
    `people`; `image_size` = (H, W); `template` names their alignment (see `InputSpec`); `grey` is True when no picture
    has colour; `skipped` lists what was left out, with reasons.
    """

    pictures: Pictures
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    people: tuple[str, ...]
    image_size: tuple[int, int]
    template: str = "arcface"
    grey: bool = False
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        for name in ("rows", "labels"):
            array = np.array(getattr(self, name), np.int64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.labels.shape != self.rows.shape or self.rows.ndim != 1:
            raise ShapeError(f"{len(self.rows)} pictures need as many labels, not labels of shape {self.labels.shape}")
        if len(self.labels) and (self.labels.min() < 0 or self.labels.max() >= len(self.people)):
            raise DataError(
                f"labels index the {len(self.people)} people, 0..{len(self.people) - 1}, "
                f"not {self.labels.min()}..{self.labels.max()}"
            )

    @classmethod
    def from_arrays(
        cls,
        images: Pixels,
        labels: ArrayLike,
        *,
        people: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        template: str = "arcface",
    ) -> FaceSet:
        """A set of pictures already in memory: uint8 (N, H, W, 3), RGB, and their labels (N,)."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ShapeError(f"pictures are uint8 (N, H, W, 3), not {images.dtype} {images.shape}")
        label = np.asarray(labels, np.int64)
        called = people if people is not None else [f"person {i}" for i in range(int(label.max(initial=-1)) + 1)]
        return cls(
            pictures=ArrayPictures(images, names or [f"picture {i}" for i in range(len(images))]),
            rows=np.arange(len(images)),
            labels=label,
            people=tuple(called),
            image_size=(images.shape[1], images.shape[2]),
            template=template,
            grey=is_grey(images),
        )

    def __repr__(self) -> str:
        """One line: the arrays of millions of pictures would fill the screen."""
        height, width = self.image_size
        return (
            f"<FaceSet: {len(self)} pictures of {self.num_people} people, {height}x{width}, {self.template!r}, "
            f"{len(self.skipped)} skipped>"
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_people(self) -> int:
        """How many different people the pictures show (a selection may show fewer than `people` names)."""
        return len(np.unique(self.labels))

    @property
    def names(self) -> tuple[str, ...]:
        """(N,) what each picture is called."""
        return tuple(self.name(index) for index in range(len(self)))

    def name(self, index: int) -> str:
        """What one picture is called: its file, or its name in a container."""
        return self.pictures.name(int(self.rows[index]))

    def image(self, index: int) -> Pixels:
        """One picture, uint8 (H, W, 3); `DataError` naming it when it cannot be read any more."""
        return self.pictures.read(int(self.rows[index]))

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
        return replace(self, rows=self.rows[chosen], labels=self.labels[chosen])

    def relabel(self) -> FaceSet:
        """The same pictures with labels 0..n-1 for the n people who are present, in the order of `people`."""
        present, labels = np.unique(self.labels, return_inverse=True)
        return replace(self, labels=labels.reshape(-1), people=tuple(self.people[i] for i in present))

    def in_memory(self) -> FaceSet:
        """The same set with every picture read now and kept: H * W * 3 bytes each."""
        used, rows = np.unique(self.rows, return_inverse=True)
        kept = np.empty((len(used), *self.image_size, 3), np.uint8)
        for row, index in enumerate(used):
            kept[row] = self.pictures.read(int(index))
        names = [self.pictures.name(int(index)) for index in used]
        return replace(self, pictures=ArrayPictures(kept, names), rows=rows.reshape(-1))
