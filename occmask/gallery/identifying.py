"""Whom a face may be: an index names pictures, the matcher compares them, people are ordered by their best."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import PluginError
from ..matching import Matcher
from ..matching.search import faces_of
from ..matching.storage import decode
from ..matching.whole import visible_unit
from ..shapes import Template
from . import GalleryIndex
from .entries import StoredFace
from .store import Store

Found = list[tuple[str, float, int]]  # person, score, the picture most alike
_AT_ONCE = 256  # templates in memory together


def identify(
    store: Store,
    index: GalleryIndex,
    matcher: Matcher,
    template: Template,
    *,
    top: int,
    best: int,
    candidates: int | None,
) -> list[Found]:
    """For each face the `top` people most like it; a person's score is the mean of their `best` pictures' scores."""
    count = store.count()[1]
    wanted = count if candidates is None else min(max(candidates, top), count)
    units = visible_unit(template, sharpness=1.0).detach().float().cpu()
    ids = _hits(index, units, wanted)
    queries = matcher.prepare(template)
    found = []
    for face in range(len(units)):
        query, named = faces_of(queries, slice(face, face + 1)), ids[face]
        scores = _scores(store, matcher, query, named)
        while len({stored.person for stored, _ in scores}) < min(top, store.count()[0]) and len(named) < count:
            # people of many pictures took all the places
            named = _hits(index, units[face : face + 1], min(4 * len(named), count))[0]
            scores = _scores(store, matcher, query, named)
        found.append(_by_person(store, matcher, query, scores, top=top, best=best))
    return found


def _hits(index: GalleryIndex, units: Tensor, top: int) -> list[list[int]]:
    hits = index.search(units.numpy(), top=top)
    ids = np.asarray(hits.ids)
    if ids.ndim != 2 or len(ids) != len(units):
        raise PluginError(f"a gallery index answers with ids (Q, top); {type(index).__name__} gave {ids.shape}")
    return [[int(i) for i in row if i >= 0] for row in ids]


def _scores(store: Store, matcher: Matcher, query: object, ids: list[int]) -> list[tuple[StoredFace, float]]:
    """Every picture with its score, best first."""
    scored: list[tuple[StoredFace, float]] = []
    for start in range(0, len(ids), _AT_ONCE):
        faces = store.faces(ids[start : start + _AT_ONCE])
        known = matcher.prepare(decode([face.record for face in faces]))
        scores = matcher.scores(query, known)[0].tolist()  # type: ignore[arg-type]
        scored += [(face._replace(record=b""), score) for face, score in zip(faces, scores, strict=True)]
    return sorted(scored, key=lambda one: -one[1])


def _by_person(
    store: Store,
    matcher: Matcher,
    query: object,
    scores: list[tuple[StoredFace, float]],
    *,
    top: int,
    best: int,
) -> Found:
    of_person: dict[str, list[tuple[float, int]]] = {}
    for face, score in scores:
        of_person.setdefault(face.person, []).append((score, face.id))
    if best > 1:  # the pictures that the first pass did not name count too
        seen = {face.id for face, _ in scores}
        rest = [i for person in of_person for i in store.picture_ids(person) if i not in seen]
        for face, score in _scores(store, matcher, query, rest):
            of_person[face.person].append((score, face.id))
    found = []
    for person, own in of_person.items():
        own.sort(reverse=True)
        some = torch.tensor([score for score, _ in own[:best]])
        found.append((person, float(some.mean()), own[0][1]))
    return sorted(found, key=lambda one: -one[1])[:top]
