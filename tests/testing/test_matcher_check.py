"""`check_matcher` catches what is broken, clause by clause."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from occmask import Prepared, Template
from occmask.testing import check_matcher


class Good:
    """The cosine of somebody else.

    `power`: what the cosine is raised to.
    """

    def __init__(self, *, power: float = 1.0):
        self.power = power

    def prepare(self, template: Template) -> Prepared:
        return Prepared(F.normalize(template.embedding, dim=1))

    def scores(self, a: Prepared, b: Prepared) -> Tensor:
        return self._raised(a.unit @ b.unit.T)

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        return self._raised((a.unit * b.unit).sum(1))

    def _raised(self, cosine: Tensor) -> Tensor:
        return cosine.sign() * cosine.abs() ** self.power


class Transposed(Good):
    def scores(self, a: Prepared, b: Prepared) -> Tensor:
        return super().scores(b, a)


class OtherPairs(Good):
    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        return super().pairs(a, b) / 2


class Normalises(Good):
    def prepare(self, template: Template) -> Prepared:
        return Prepared(template.embedding.div_(template.embedding.norm(dim=1, keepdim=True)))


class ChangesPrepared(Good):
    def scores(self, a: Prepared, b: Prepared) -> Tensor:
        found = super().scores(a, b)
        a.unit.mul_(2)
        return found


class ByTheBatch(Good):
    def prepare(self, template: Template) -> Prepared:
        return Prepared(F.normalize(template.embedding - template.embedding.mean(0), dim=1))


class Backwards(Good):
    def _raised(self, cosine: Tensor) -> Tensor:
        return -cosine


class OneSided(Good):
    def scores(self, a: Prepared, b: Prepared) -> Tensor:
        return super().scores(a, b) + 0.1 * a.unit[:, :1]

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:
        return super().pairs(a, b) + 0.1 * a.unit[:, 0]


class Unnormalised(Good):
    def prepare(self, template: Template) -> Prepared:
        return Prepared(template.embedding / template.embedding.norm(dim=1, keepdim=True))


class NeedsParts(Good):
    def prepare(self, template: Template) -> Prepared:
        return super().prepare(template._replace(embedding=template.parts.sum(1)))  # type: ignore[union-attr]


class DividesByVisible(Good):
    def prepare(self, template: Template) -> Prepared:
        if template.parts is None or template.visible is None:
            return super().prepare(template)
        share = template.visible[..., None]
        return Prepared(F.normalize((template.parts * share).sum(1) / share.sum(1), dim=1))


class SinglePrecision(Good):
    def scores(self, a: Prepared, b: Prepared) -> Tensor:
        return super().scores(a, b).float()


class OnTheCpu(Good):
    def scores(self, a: Prepared, b: Prepared) -> Tensor:
        return super().scores(a, b) + torch.zeros(len(b.unit))


class Tuples(Good):
    def prepare(self, template: Template) -> Any:
        return (F.normalize(template.embedding, dim=1), None, None)


class NoNobody(Good):
    def scores(self, a: Prepared, b: Prepared) -> Tensor:
        return super().scores(a, b) + 0 * a.unit.max()


class Undescribed(Good):
    """Says nothing of what it takes."""

    def __init__(self, *, hidden_share: float = 1.0):
        super().__init__(power=1.0)


def test_a_matcher_of_somebody_else_passes() -> None:
    check_matcher(Good)


@pytest.mark.parametrize(
    ("matcher", "sentence"),
    [
        (Transposed, r"scores has shape \(5, 7\), not \(7, 5\)"),
        (OtherPairs, "same score in pairs as in scores"),
        (Normalises, "prepare changed them"),
        (ChangesPrepared, "scores the same twice|leaves what is prepared as it is"),
        (ByTheBatch, "same score in pairs as in scores|whoever else is in the batch"),
        (Backwards, "scores a face with itself above"),
        (OneSided, "symmetric=False"),
        (Unnormalised, "finite for faces whose embedding is all zeros"),
        (NeedsParts, "the embedding alone"),
        (DividesByVisible, "finite for faces wholly hidden"),
        (SinglePrecision, "float64, not torch.float32"),
        (OnTheCpu, r"another device \(meta\)|on the device of the templates"),
        (Tuples, "an occmask.Prepared, not a tuple"),
        (NoNobody, "takes no faces"),
        (Undescribed, "says nothing of hidden_share"),
    ],
)
def test_each_broken_clause_is_named(matcher: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_matcher(matcher)


def test_a_matcher_that_means_to_be_one_sided_may_be() -> None:
    check_matcher(OneSided, symmetric=False)
