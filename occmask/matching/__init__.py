"""Matching: how alike two faces are, from their templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..registry import Registry
from ..shapes import Template
from ..spec import Spec

if TYPE_CHECKING:
    from torch import Tensor


class Prepared(NamedTuple):
    """Templates as a matcher compares them, so that a gallery is made ready once.  A matcher fills what it reads."""

    unit: Tensor  # (B, D) rows of length 1
    parts: Tensor | None = None  # (B, P, D)
    visible: Tensor | None = None  # (B, P)


class Matcher(Protocol):
    """An object built as `factory(**options)`; the higher a score, the likelier are two faces one person's."""

    def prepare(self, template: Template) -> Prepared: ...
    def scores(self, a: Prepared, b: Prepared) -> Tensor: ...  # (A, B), every face of a with every one of b
    def pairs(self, a: Prepared, b: Prepared) -> Tensor: ...  # (N,), row by row


MATCHERS: Registry[Matcher] = Registry(
    "matcher",
    "occmask.matchers",
    {
        "cosine": "occmask.matching.whole:Cosine",
        "visible_cosine": "occmask.matching.whole:VisibleCosine",
        "joint": "occmask.matching.joint:Joint",
        "parts": "occmask.matching.places:Parts",
        "fused": "occmask.matching.places:Fused",
        "calibrated": "occmask.matching.calibrated:Calibrated",
    },
)


def match(a: Template, b: Template, *, matcher: Spec | str = "fused") -> Tensor:
    """How alike every face of `a` is to every face of `b`: (A, B).

    "fused", the default, compares what both faces show; templates without parts are compared by the cosine of their
    embeddings, whatever the matcher.  Raises `ShapeError` for templates of two kinds, `UnknownNameError` for the name.
    """
    built = MATCHERS.build(matcher)
    return built.scores(built.prepare(a), built.prepare(b))


def match_pairs(a: Template, b: Template, *, matcher: Spec | str = "fused") -> Tensor:
    """How alike each face of `a` is to the face of `b` in the same row: (N,).  As `match` in everything else."""
    built = MATCHERS.build(matcher)
    return built.pairs(built.prepare(a), built.prepare(b))


__all__ = ["MATCHERS", "Matcher", "Prepared", "match", "match_pairs"]
