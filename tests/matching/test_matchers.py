"""Matchers: what their scores are, held against sums written out, and what must not change them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import occmask
from occmask import Spec, Template

PLACES, WIDTH = 6, 5


def template(count: int, seed: int, *, visible: bool = True, dtype: torch.dtype = torch.float64) -> Template:
    draw = torch.Generator().manual_seed(seed)
    parts = torch.randn(count, PLACES, WIDTH, generator=draw, dtype=dtype)
    seen = torch.rand(count, PLACES, generator=draw, dtype=dtype) if visible else None
    return Template(parts.sum(1), parts, seen, (2, 3))


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


seeds = st.integers(0, 2**20)


@given(seeds, seeds)
def test_parts_is_the_visibility_weighted_mean_of_cosines(one: int, other: int) -> None:
    a, b = template(2, one), template(3, other)
    found = occmask.match(a, b, matcher="parts")
    for i in range(2):
        for j in range(3):
            w = (a.visible[i] + 1e-3) * (b.visible[j] + 1e-3)
            cosines = torch.tensor([cosine(a.parts[i, p], b.parts[j, p]) for p in range(PLACES)], dtype=torch.float64)
            assert found[i, j].item() == pytest.approx(float(w @ cosines / w.sum()), abs=1e-9)


@given(seeds, seeds)
def test_joint_makes_both_embeddings_of_what_both_show(one: int, other: int) -> None:
    a, b = template(2, one), template(3, other)
    found = occmask.match(a, b, matcher="joint")
    for i in range(2):
        for j in range(3):
            w = a.visible[i] * b.visible[j] + 1e-3
            assert found[i, j].item() == pytest.approx(cosine(w @ a.parts[i], w @ b.parts[j]), abs=1e-9)


@given(seeds, seeds)
def test_visible_cosine_makes_each_embedding_of_what_its_own_face_shows(one: int, other: int) -> None:
    a, b = template(2, one), template(2, other)
    found = occmask.match(a, b, matcher="visible_cosine")
    first, second = ((t.visible[1] + 1e-3) @ t.parts[1] for t in (a, b))
    assert found[1, 1].item() == pytest.approx(cosine(first, second), abs=1e-9)


@given(seeds, seeds, st.floats(0, 1))
def test_fused_is_a_mean_of_two_others(one: int, other: int, share: float) -> None:
    a, b = template(2, one), template(3, other)
    found = occmask.match(a, b, matcher=Spec("fused", share=share))
    whole, places = (occmask.match(a, b, matcher=name) for name in ("visible_cosine", "parts"))
    torch.testing.assert_close(found, (1 - share) * whole + share * places)


@pytest.mark.parametrize("matcher", list(occmask.MATCHERS))
@given(seeds, seeds)
def test_rows_and_pairs_agree_and_scores_are_symmetric(matcher: str, one: int, other: int) -> None:
    a, b = template(3, one), template(3, other)
    scores = occmask.match(a, b, matcher=matcher)
    torch.testing.assert_close(occmask.match_pairs(a, b, matcher=matcher), scores.diagonal())
    torch.testing.assert_close(occmask.match(b, a, matcher=matcher), scores.T)
    assert bool((scores.abs() <= 1 + 1e-9).all())
    torch.testing.assert_close(occmask.match_pairs(a, a, matcher=matcher), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("matcher", list(occmask.MATCHERS))
def test_without_parts_every_matcher_is_the_cosine(matcher: str) -> None:
    a, b = template(3, 0), template(2, 1)
    bare = Template(b.embedding)
    for one, other in ((a, bare), (bare, a), (bare, bare)):
        if matcher == "cosine" or one.parts is None or other.parts is None:
            plain = occmask.match(one, other, matcher="cosine")
            if matcher not in ("visible_cosine", "fused"):
                torch.testing.assert_close(occmask.match(one, other, matcher=matcher), plain)
    torch.testing.assert_close(occmask.match(bare, bare, matcher=matcher), occmask.match(bare, bare, matcher="cosine"))


@pytest.mark.parametrize("matcher", ["visible_cosine", "joint", "parts", "fused"])
def test_what_is_hidden_in_both_changes_nothing(matcher: str) -> None:
    """Nothing worth mentioning: a hidden part keeps a thousandth of its weight, so that no weight is zero."""
    a, b = template(2, 5), template(2, 6)
    for t in (a, b):
        t.visible.fill_(1)
        t.visible[:, :2] = 0
    before = occmask.match(a, b, matcher=matcher)
    a.parts[:, :2] += 3
    torch.testing.assert_close(occmask.match(a, b, matcher=matcher), before, rtol=0, atol=0.02)


@pytest.mark.parametrize("matcher", ["joint", "parts"])
def test_what_one_face_hides_is_not_held_against_the_other(matcher: str) -> None:
    """The other face shows it: only a matcher that knows both leaves it out."""
    a, b = template(2, 5), template(2, 6)
    a.visible.fill_(1)
    b.visible.fill_(1)
    b.visible[:, :2] = 0
    before = occmask.match(a, b, matcher=matcher)
    b.parts[:, :2] += 3
    torch.testing.assert_close(occmask.match(a, b, matcher=matcher), before, rtol=0, atol=0.02)


def test_a_face_that_shows_nothing_is_compared_as_if_it_showed_everything() -> None:
    a, b = template(2, 1), template(2, 2)
    hidden = a._replace(visible=torch.zeros_like(a.visible))
    for matcher in occmask.MATCHERS:
        assert bool(occmask.match(hidden, b, matcher=matcher).isfinite().all())
    shown = a._replace(visible=torch.ones_like(a.visible))
    torch.testing.assert_close(
        occmask.match(hidden, b, matcher="visible_cosine"), occmask.match(shown, b, matcher="visible_cosine")
    )


def test_sharpness_makes_up_its_mind() -> None:
    a, b = template(1, 1), template(1, 2)
    firm = a._replace(visible=(a.visible > 0.5).double()), b._replace(visible=(b.visible > 0.5).double())
    found = occmask.match(a, b, matcher=Spec("parts", sharpness=16.0))
    torch.testing.assert_close(found, occmask.match(*firm, matcher="parts"), rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (Template(torch.zeros(2, 3)), Template(torch.zeros(2, 4)), "3 and of 4 numbers"),
        (Template(torch.zeros(2)), Template(torch.zeros(2, 4)), r"\(B, D\)"),
        (Template(torch.zeros(2, 3), torch.zeros(2, 6, 4)), Template(torch.zeros(2, 3)), "parts are"),
        (Template(torch.zeros(2, 3), None, torch.zeros(2, 6)), Template(torch.zeros(2, 3)), "one number a part"),
        (Template(torch.zeros(2, 3), torch.zeros(2, 6, 3), None, (2, 2)), Template(torch.zeros(2, 3)), "no grid of 6"),
    ],
)
def test_templates_that_do_not_fit_are_refused(a: Template, b: Template, told: str) -> None:
    with pytest.raises(occmask.ShapeError, match=told):
        occmask.match(a, b)


def test_parts_of_two_kinds_are_refused() -> None:
    a, b = template(2, 0), template(2, 1)
    other = Template(b.embedding, b.parts[:, :4], b.visible[:, :4])
    for matcher in ("joint", "parts", "fused"):
        with pytest.raises(occmask.ShapeError, match="6 and of 4 parts"):
            occmask.match(a, other, matcher=matcher)


def test_unequal_numbers_of_faces_are_no_pairs() -> None:
    for matcher in occmask.MATCHERS:
        with pytest.raises(occmask.ShapeError, match="row by row"):
            occmask.match_pairs(template(2, 0), template(3, 1), matcher=matcher)


@pytest.mark.parametrize(
    "spec", [Spec("fused", share=2.0), Spec("parts", sharpness=0.0), Spec("joint", sharpness=True)]
)
def test_options_that_cannot_be_are_refused(spec: Spec) -> None:
    with pytest.raises(occmask.OptionError, match=spec.name):
        occmask.match(template(1, 0), template(1, 1), matcher=spec)
