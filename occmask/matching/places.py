"""Matchers that compare faces place by place: as good as what both show, and no worse for what one of them hides."""

from __future__ import annotations

from torch import Tensor

from ..shapes import Template
from . import Prepared
from .checks import check_alike, check_template, unit, visible_of
from .options import check_share, check_sharpness
from .whole import FLOOR, visible_unit


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
        return (a.parts.flatten(1) @ b.parts.flatten(1).T).div_(a.visible @ b.visible.T)

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
        return whole.mul_(1 - self.share).add_(super().scores(a, b), alpha=self.share)

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:  # (N,)
        check_alike(a, b, row_by_row=True)
        whole = (a.unit * b.unit).sum(1)
        if a.parts is None or b.parts is None:
            return whole
        return (1 - self.share) * whole + self.share * super().pairs(a, b)
