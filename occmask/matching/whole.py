"""Matchers that compare one vector a face."""

from __future__ import annotations

from torch import Tensor

from ..shapes import Template
from . import Prepared
from .checks import check_alike, check_template, unit, visible_of
from .options import check_sharpness


class Cosine:
    """The cosine of the two embeddings, as everybody compares faces."""

    def prepare(self, template: Template) -> Prepared:
        check_template(template)
        return Prepared(unit(template.embedding))

    def scores(self, a: Prepared, b: Prepared) -> Tensor:  # (A, B)
        check_alike(a, b, row_by_row=False)
        return a.unit @ b.unit.T

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:  # (N,)
        check_alike(a, b, row_by_row=True)
        return (a.unit * b.unit).sum(1)


class VisibleCosine(Cosine):
    """The cosine of two embeddings, each made of the parts that its own face shows.

    A part counts as much as it is visible; one that is not seen is taken to be like the others.  `sharpness`: how
    firmly "half visible" is read as seen or unseen, see `visible_of`.
    """

    def __init__(self, *, sharpness: float = 1.0):
        self.sharpness = check_sharpness("visible_cosine", sharpness)

    def prepare(self, template: Template) -> Prepared:
        check_template(template)
        return Prepared(visible_unit(template, sharpness=self.sharpness))


def visible_unit(template: Template, *, sharpness: float) -> Tensor:
    """(B, D) rows of length 1: the visible parts' sum, or the embedding where there are no parts."""
    if template.parts is None or template.visible is None:
        return unit(template.embedding)
    weight = visible_of(template, sharpness=sharpness)[..., None] + FLOOR
    return unit((template.parts * weight).sum(1))


FLOOR = 1e-3  # of a weight: a face of which nothing is visible is compared as if all of it were
