"""Matchers that compare faces place by place: as good as what both show, and no worse for what one of them hides."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ..shapes import Template
from . import Prepared
from .checks import check_alike, check_template, unit, visible_of
from .options import check_share, check_sharpness
from .whole import FLOOR, visible_unit

_AT_ONCE = 2**21  # scores of a block of the gallery, whose temporaries then stay in the cache
_X86 = platform.machine() in ("x86_64", "AMD64")
_FEWEST = 16  # rows from which on oneDNN's product is worth its set-up


class Parts:
    """The mean cosine of the parts at the same place, weighted by how much of the place both faces show.

    sum_p v_p v'_p cos(z_p, z'_p) / sum_p v_p v'_p, which is two matrix products and a division.  Alone it is worse on
    clean faces than the plain cosine: see `fused`.  `sharpness`: as in `visible_cosine`.
    """

    def __init__(self, *, sharpness: float = 1.0):
        self.sharpness = check_sharpness("parts", sharpness)

    def prepare(self, template: Template) -> Prepared:
        check_template(template)
        if template.parts is None:
            return Prepared(unit(template.embedding))
        visible = visible_of(template, sharpness=self.sharpness) + FLOOR
        return Prepared(unit(template.embedding), unit(template.parts) * visible[..., None], visible)

    def scores(self, a: Prepared, b: Prepared) -> Tensor:  # (A, B)
        check_alike(a, b, row_by_row=False)
        if a.parts is None or b.parts is None or a.visible is None or b.visible is None:
            return a.unit @ b.unit.T
        found = a.unit.new_empty(len(a.unit), len(b.unit))
        for own, score in part_scores(a, b):
            found[:, own] = score
        return found

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:  # (N,)
        check_alike(a, b, row_by_row=True)
        if a.parts is None or b.parts is None or a.visible is None or b.visible is None:
            return (a.unit * b.unit).sum(1)
        return (a.parts * b.parts).sum((1, 2)) / (a.visible * b.visible).sum(1)


class Fused(Parts):
    """The mean of `visible_cosine` and `parts`: the whole face where there is one, its places where there is not.

    `share`: how much of the score is that of the parts, in [0, 1]; `sharpness`: as in `visible_cosine`.
    """

    def __init__(self, *, share: float = 0.5, sharpness: float = 1.0):
        self.share = check_share("fused", "share", share)
        self.sharpness = check_sharpness("fused", sharpness)

    def prepare(self, template: Template) -> Prepared:
        return super().prepare(template)._replace(unit=visible_unit(template, sharpness=self.sharpness))

    def scores(self, a: Prepared, b: Prepared) -> Tensor:  # (A, B)
        check_alike(a, b, row_by_row=False)
        whole = a.unit @ b.unit.T
        if a.parts is None or b.parts is None:
            return whole
        for own, score in part_scores(a, b):
            whole[:, own].mul_(1 - self.share).add_(score, alpha=self.share)
        return whole

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:  # (N,)
        check_alike(a, b, row_by_row=True)
        whole = (a.unit * b.unit).sum(1)
        if a.parts is None or b.parts is None:
            return whole
        return (1 - self.share) * whole + self.share * super().pairs(a, b)


def part_scores(a: Prepared, b: Prepared) -> Iterator[tuple[slice, Tensor]]:
    """The parts' score of every face of `a` with those of `b`, block by block: which of `b`, and (A, n).

    Block by block, so that what is computed of a score is in the cache when the next step reads it, and no product as
    large as the answer is held beside it.
    """
    assert a.parts is not None
    assert b.parts is not None
    assert a.visible is not None
    assert b.visible is not None
    product = _Product(a.parts.flatten(1))
    step = min(max(256, _AT_ONCE // max(1, len(a.parts))), 8192)
    for start in range(0, len(b.parts), step):
        own = slice(start, start + step)
        yield own, product(b.parts[own].flatten(1)).div_(a.visible @ b.visible[own].T)


class _Product:
    """Rows (A, N) multiplied with rows (B, N): (A, B).

    On a CPU, in float32, by oneDNN: as exact as torch's usual product and, on the processor where both were timed,
    twice as fast, because the library behind the usual one uses half of the vector width there (see
    docs/decisions/011-part-score.md).
    """

    def __init__(self, rows: Tensor):
        self.rows = rows
        self.packed = rows.contiguous().to_mkldnn() if len(rows) >= _FEWEST and _plain(rows) else None

    def __call__(self, others: Tensor) -> Tensor:
        if self.packed is None or not _plain(others):
            return self.rows @ others.T
        found: Tensor = F.linear(self.packed, others.contiguous()).to_dense()
        return found


def _plain(rows: Tensor) -> bool:
    """Whether oneDNN may have them: float32 on a CPU whose processor it knows best, and nobody looks on."""
    watched = torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu") or rows.requires_grad
    usual = type(rows) is Tensor and rows.device.type == "cpu" and rows.dtype == torch.float32
    return usual and not watched and _X86 and torch.backends.mkldnn.is_available()
