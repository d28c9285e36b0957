"""`check_matcher`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..matching import MATCHERS, Matcher, Prepared
from ..shapes import Template
from .describing import check_description
from .examination import Component, Examination, examinations, mapped, seeded, tensors_in

_A, _B = 5, 7  # faces; other numbers than each other, so that a transposed answer is seen
_KNOWN = ("the embedding alone", "parts, and nothing of what is visible", "parts and what is visible of them")
_TEMPLATES = ((16, (4, 3)), (6, (1, 2)))  # D and the grid of the places
_CLOSE = 1e-5  # float32


def check_matcher(matcher: Component[Matcher], *, symmetric: bool = True) -> None:
    """Raise `AssertionError` unless a matcher keeps its protocol (`occmask.matching.Matcher`).

    Checked with templates of two sizes, with and without parts and what is visible of them: `scores` is (A, B), `pairs`
    is (N,) and agrees with it; the same twice, and the same whoever else is in the batch; `prepare` changes nothing it
    was given, and neither do `scores` and `pairs`; every row is prepared for itself; a face with itself scores at least
    what it scores with others, on average; finite for faces that are wholly hidden or wholly visible, and for an
    embedding of zeros; no faces give no scores; float64 in, float64 out; another device; and what it says of itself.
    `symmetric=False` for a matcher that means to score a with b otherwise than b with a, such as probe with gallery.
    """
    situations = [(known, (known, width, grid)) for width, grid in _TEMPLATES for known in _KNOWN]
    for exam, (known, width, grid) in examinations(MATCHERS, matcher, situations):
        with seeded():
            a, b = (_template(count, known, width, grid) for count in (_A, _B))
            _check_scores(exam, exam.build(), a, b, symmetric=symmetric)
            _check_hidden(exam, exam.build(), a, b)
            _check_moves(exam, a, b)
            check_description(exam)


def _check_scores(exam: Examination, matcher: Matcher, a: Template, b: Template, *, symmetric: bool) -> None:
    given, kept = (a, b), tuple(_mapped(one, lambda tensor: tensor.clone()) for one in (a, b))
    with exam.clause("prepares templates"):
        first, second = matcher.prepare(a), matcher.prepare(b)
    exam.require(isinstance(first, Prepared), f"prepares an occmask.Prepared, not a {type(first).__name__}")
    exam.require_same(given, kept, "leaves the templates as they are, but prepare changed them")
    rows = {len(tensor) for tensor in tensors_in(first)}
    exam.require(rows == {_A}, f"prepares one row a face in every tensor, {_A}, not {sorted(rows)}")
    ready = mapped((first, second), lambda tensor: tensor.clone())
    with exam.clause("scores every face of a with every face of b"):
        scores = matcher.scores(first, second)
    exam.require_shape(scores, (_A, _B), "scores")
    exam.require_finite(scores, "for ordinary faces")
    exam.require_same(scores, matcher.scores(first, second), "scores the same twice")
    with exam.clause("scores faces row by row"):
        pairs = matcher.pairs(first, matcher.prepare(_some(b, slice(0, _A))))
    exam.require_shape(pairs, (_A,), "pairs")
    exam.require_same(
        pairs, scores[:, :_A].diagonal().clone(), "gives a pair the same score in pairs as in scores", tolerance=_CLOSE
    )
    exam.require_same((first, second), ready, "leaves what is prepared as it is, but scores or pairs changed it")
    few = matcher.scores(matcher.prepare(_some(a, slice(1, 3))), matcher.prepare(_some(b, slice(2, 6))))
    exam.require_same(
        few, scores[1:3, 2:6].clone(), "scores two faces the same whoever else is in the batch", tolerance=_CLOSE
    )
    if symmetric:
        back = matcher.scores(second, first).T.contiguous()
        exam.require_same(back, scores, "scores b with a as a with b (else symmetric=False)", tolerance=_CLOSE)
    own = matcher.scores(first, first)
    others = own[~torch.eye(_A, dtype=torch.bool)]
    exam.require(
        bool(own.diagonal().mean() > others.mean()), "scores a face with itself above what it scores with others"
    )
    with exam.clause("takes no faces"):
        nobody = matcher.scores(matcher.prepare(_some(a, slice(0, 0))), second)
    exam.require_shape(nobody, (0, _B), "scores of no faces")


def _check_hidden(exam: Examination, matcher: Matcher, a: Template, b: Template) -> None:
    """Faces of which nothing or everything is seen, and one that the model has no answer to."""
    cases = {"whose embedding is all zeros": a._replace(embedding=torch.zeros_like(a.embedding))}
    if a.visible is not None:
        cases |= {
            "wholly hidden": a._replace(visible=a.visible * 0),
            "wholly visible": a._replace(visible=a.visible * 0 + 1),
        }
    for which, template in cases.items():
        hidden, seen = matcher.prepare(template), matcher.prepare(b)
        for one, other in ((hidden, seen), (seen, hidden), (hidden, hidden)):
            exam.require_finite(matcher.scores(one, other), f"for faces {which}")
        exam.require_finite(matcher.pairs(hidden, hidden), f"for faces {which}")


def _check_moves(exam: Examination, a: Template, b: Template) -> None:
    """Double precision, and other devices."""

    def score(convert: Any) -> Tensor:
        matcher = exam.build()
        first, second = (matcher.prepare(_mapped(one, convert)) for one in (a, b))
        found: Tensor = matcher.scores(first, second)
        return found

    usual = score(lambda tensor: tensor)
    with exam.clause("scores templates of float64"):
        double = score(lambda tensor: tensor.double())
    exam.require(double.dtype == torch.float64, f"scores in the type of the templates, float64, not {double.dtype}")
    exam.require_same(double.float(), usual, "scores the same in float64, but for rounding", tolerance=1e-4)
    for device in ("meta", *(["cuda"] if torch.cuda.is_available() else [])):
        with exam.clause(f"scores templates on another device ({device})"):
            moved = score(lambda tensor, device=device: tensor.to(device))
        exam.require(
            moved.device.type == device and moved.shape == usual.shape,
            f"gives (A, B) scores on the device of the templates, {device}, not {tuple(moved.shape)} on {moved.device}",
        )


def _template(count: int, known: str, width: int, grid: tuple[int, int]) -> Template:
    places = grid[0] * grid[1]
    parts = torch.randn(count, places, width)
    if known == _KNOWN[0]:
        return Template(parts.sum(1))
    return Template(parts.sum(1), parts, torch.rand(count, places) if known == _KNOWN[2] else None, grid)


def _some(template: Template, which: slice) -> Template:
    return _mapped(template, lambda tensor: tensor[which])


def _mapped(template: Template, function: Any) -> Template:
    """A template with its tensors as the function makes them, and its grid."""
    embedding, parts, visible, grid = template
    return Template(
        function(embedding),
        None if parts is None else function(parts),
        None if visible is None else function(visible),
        grid,
    )
