"""People across sets of pictures: the same by name, whatever their labels are."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from ..evaluation.metrics import IntArray
from .inputs import Faces

# What a copy's name may add to the photograph's: file types, and what `occmask occlude` puts after a covered copy.
_ADDED = re.compile(r"(?<=[^/])(\.(bmp|gif|jp2|jpeg|jpg|pgm|png|ppm|tif|tiff|webp)|_covered)+$", re.IGNORECASE)


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


def same_photographs(probes: Faces, probe_label: IntArray, gallery: Faces, gallery_label: IntArray) -> IntArray:
    """(2, n): probes and gallery pictures of one person that their names say are one photograph.

    The labels are those of `joint_labels`.  Names that differ only by extension, or by the "_covered" of `occmask
    occlude`, count as one: "ann/1_covered.png" is "ann/1.jpg".
    """
    place: dict[tuple[int, str], list[int]] = {}
    for j, label in enumerate(gallery_label.tolist()):
        place.setdefault((label, _photograph(gallery.name(j))), []).append(j)
    pairs = [
        (i, j)
        for i, label in enumerate(probe_label.tolist())
        for j in place.get((label, _photograph(probes.name(i))), ())
    ]
    return np.array(pairs, np.int64).reshape(-1, 2).T


def about_same_photographs(same: IntArray, num_probes: int) -> list[str]:
    """What must be said of the pairs that `same_photographs` found: one note, or none."""
    shared = len(np.unique(same[0]))
    if not shared:
        return []
    return [
        f"{shared} of {num_probes} probes bear the name of a gallery picture of the same person: if they show the same "
        "photographs, the figures say little about faces photographed twice"
    ]


def _photograph(name: str) -> str:
    return _ADDED.sub("", name)
