"""The matcher that makes both embeddings anew for each pair, from what both faces show."""

from __future__ import annotations

import torch
from torch import Tensor

from ..shapes import Template
from . import Prepared
from .checks import check_alike, check_template, unit, visible_of
from .options import check_sharpness
from .whole import FLOOR

_AT_ONCE = 1 << 24  # numbers of a block of pairs: 64 MiB in float32


class Joint:
    """The cosine of two embeddings, each made of the parts that both faces show.

    Exact and slow: every pair has embeddings of its own, so comparing A with B faces takes A x B sums over the parts.
    `sharpness`: as in `visible_cosine`.
    """

    def __init__(self, *, sharpness: float = 1.0):
        self.sharpness = check_sharpness("joint", sharpness)

    def prepare(self, template: Template) -> Prepared:
        check_template(template)
        if template.parts is None:
            return Prepared(unit(template.embedding))
        visible = visible_of(template, sharpness=self.sharpness)
        return Prepared(unit(template.embedding), template.parts, visible)

    def scores(self, a: Prepared, b: Prepared) -> Tensor:  # (A, B)
        check_alike(a, b, row_by_row=False)
        if a.parts is None or b.parts is None or a.visible is None or b.visible is None:
            return a.unit @ b.unit.T
        rows = []
        step = max(1, _AT_ONCE // max(1, b.parts.numel()))
        for start in range(0, len(a.unit), step):
            own = slice(start, start + step)
            weight = a.visible[own, None] * b.visible + FLOOR  # (n, B, P)
            first = torch.einsum("nbp,npd->nbd", weight, a.parts[own])
            second = torch.einsum("nbp,bpd->nbd", weight, b.parts)
            rows.append((unit(first) * unit(second)).sum(2))
        return torch.cat(rows) if rows else a.unit @ b.unit.T

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:  # (N,)
        check_alike(a, b, row_by_row=True)
        if a.parts is None or b.parts is None or a.visible is None or b.visible is None:
            return (a.unit * b.unit).sum(1)
        weight = (a.visible * b.visible + FLOOR)[..., None]
        return (unit((weight * a.parts).sum(1)) * unit((weight * b.parts).sum(1))).sum(1)
