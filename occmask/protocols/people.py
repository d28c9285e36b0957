"""People across sets of pictures: the same by name, whatever their labels are."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..evaluation.metrics import IntArray
from .inputs import Faces


def joint_labels(*sets: Faces) -> tuple[tuple[str, ...], tuple[IntArray, ...]]:
    """The names of all people, sorted, and every set's labels as indices of them."""
    shown = [np.asarray(faces.labels, np.int64) for faces in sets]
    names = sorted({faces.people[i] for faces, label in zip(sets, shown, strict=True) for i in np.unique(label)})
    place = {name: index for index, name in enumerate(names)}
    labels = []
    for faces, label in zip(sets, shown, strict=True):
        index = np.array([place.get(name, -1) for name in faces.people], np.int64)
        labels.append(index[label])
    return tuple(names), tuple(labels)


def some_names(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - 5} more" if len(every) > 5 else ""
    return ", ".join(every[:5]) + more
