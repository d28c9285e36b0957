"""Whether a gallery's file is whole. Imports no torch."""

from __future__ import annotations

import json
from typing import NamedTuple

from ..errors import DataError
from ..matching.storage import RecordKind, record_kind
from .entries import KeptPicture
from .reading import kept_pictures
from .store import Store

MOST_TOLD = 100


class GalleryCheck(NamedTuple):
    """What a look at every byte of a gallery found."""

    people: int
    pictures: int
    problems: tuple[str, ...]  # the first `MOST_TOLD`; none: the file is whole


def check_store(store: Store) -> GalleryCheck:
    """SQLite's own integrity check, then every person's, picture's and template's checksum and kind."""
    with store.reading():
        problems = store.structure_problems()
        kind = store.kind()
        people: set[str] = set()
        pictures = 0
        for kept in kept_pictures(store):
            people.add(kept.person)
            pictures += kept.number is not None
            problem = _problem(kept, kind)
            if problem and len(problems) < MOST_TOLD:
                problems.append(problem)
        if store.count() != (len(people), pictures):
            problems.append("the tables do not agree on how many people and pictures there are")
    return GalleryCheck(len(people), pictures, tuple(problems))


def _problem(kept: KeptPicture, kind: RecordKind | None) -> str | None:
    if kept.number is None:
        return f"{kept.person!r} has no picture"
    which = f"picture {kept.number} of {kept.person!r}"
    if not kept.whole:
        return f"{which}: its checksum does not fit"
    try:
        own = record_kind(kept.record)
        details = json.loads(kept.details), json.loads(kept.note)
    except (DataError, ValueError, RecursionError) as e:
        return f"{which}: {e}"
    if kind is None or own != kind or len(kept.unit) != 2 * kind.dim:
        return f"{which}: {own}, and the gallery holds {kind}"
    if not all(isinstance(one, dict) for one in details):
        return f"{which}: its note is no JSON object"
    return None
