"""Search: plain cosine beside a search that looks again at the best of the first pass.

All of them use the same matrix products and the same running top.  The gallery is made ready once, as in use, its parts
kept in float16; random faces, since only the time is looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F

from occmask.matching import MATCHERS, Prepared
from occmask.matching.search import nearest, search_prepared

from .groups import Contender, Group
from .measure import keeping
from .record import Row

QUERIES, TOP = 1_000, 10
CANDIDATES = (10, 20, 50, 100)
_MADE_AT_ONCE = 2_000


class Case(NamedTuple):
    dim: int
    parts: int
    gallery: int

    @property
    def name(self) -> str:
        return f"{QUERIES:,} x {self.gallery:,} D={self.dim} P={self.parts}"


def cases(*, quick: bool) -> list[Case]:
    size = 10_000 if quick else 100_000
    return [Case(128, 42, size), Case(512, 49, size)]


def ready(faces: int, case: Case, dtype: torch.dtype, seed: int, device: str) -> Prepared:
    """Random faces as "fused" compares them."""
    generator = torch.Generator(device).manual_seed(seed)
    unit = torch.empty(faces, case.dim, device=device)
    parts = torch.empty(faces, case.parts, case.dim, dtype=dtype, device=device)
    visible = torch.rand(faces, case.parts, generator=generator, device=device) + 1e-3
    for start in range(0, faces, _MADE_AT_ONCE):
        some = visible[start : start + _MADE_AT_ONCE]
        own = torch.randn(*some.shape, case.dim, generator=generator, device=device)
        own = F.normalize(own, dim=2) * some[..., None]
        parts[start : start + _MADE_AT_ONCE] = own.to(dtype)
        unit[start : start + _MADE_AT_ONCE] = F.normalize(own.sum(1), dim=1)
    return Prepared(unit, parts, visible)


def measure(case: Case, device: str, rounds: int) -> Iterator[Row]:
    gallery = ready(case.gallery, case, torch.float16, 0, device)
    queries = ready(QUERIES, case, torch.float32, 1, device)
    matcher = MATCHERS.build("fused")

    def plain() -> object:
        return nearest(queries.unit, gallery.unit, top=TOP)

    def again(candidates: int) -> object:
        return search_prepared(matcher, queries, gallery, top=TOP, candidates=candidates)

    contenders = [Contender(name="cosine", run=plain)]
    contenders += [Contender(name=f"{count} looked at again", run=keeping(again, count)) for count in CANDIDATES]
    group = Group(table="search", case=case.name, part="search", reference="cosine")
    with torch.inference_mode():
        yield from group.measure(contenders, device=device, rounds=rounds, memory=False)
