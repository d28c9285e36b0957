"""Templates as flat rows: nothing is lost, and scores are those of the matcher whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask import Template
from occmask.errors import OptionError, ShapeError, UnknownNameError
from occmask.matching import MATCHERS, rows
from occmask.matching.rows import COSINE, TemplateLayout, TemplateRows

BUILT_IN = ("cosine", "visible_cosine", "joint", "parts", "fused")


def make_template(count, *, width=6, places=4, parts=True, visible=True, seed=0):
    draw = torch.Generator().manual_seed(seed)
    summands = torch.randn(count, places, width, generator=draw, dtype=torch.float64)
    return Template(
        summands.sum(1),
        summands if parts else None,
        torch.rand(count, places, generator=draw, dtype=torch.float64) if parts and visible else None,
        (places // 2, 2) if parts else None,
    )


def kept(matcher, template):
    """What a protocol keeps of templates, and the layout's own rows."""
    layout = TemplateLayout.of(template)
    found = TemplateRows(matcher, layout)
    return found, found.prepare(layout.rows(template).numpy())


@given(
    count=st.integers(1, 5),
    width=st.integers(1, 8),
    places=st.sampled_from([2, 4, 6]),
    known=st.sampled_from(["embedding", "parts", "visible"]),
)
def test_a_row_holds_the_whole_template(count, width, places, known):
    template = make_template(count, width=width, places=places, parts=known != "embedding", visible=known == "visible")
    layout = TemplateLayout.of(template)
    flat = layout.rows(template)
    assert flat.shape == (count, layout.numbers)
    again = layout.template(flat)
    for one, other in zip(template, again, strict=True):
        assert (one is None) == (other is None)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_templates_and_rows_of_another_layout_are_refused():
    layout = TemplateLayout.of(make_template(2))
    with pytest.raises(ShapeError, match="rows of TemplateLayout"):
        layout.rows(make_template(2, visible=False))
    with pytest.raises(ShapeError, match=r"\(B, 34\), not \(2, 33\)"):
        layout.template(torch.zeros(2, 33))


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("known", ["embedding", "parts", "visible"])
def test_rows_are_scored_as_templates_are(name, known):
    options = {"parts": known != "embedding", "visible": known == "visible"}
    a, b = make_template(5, **options), make_template(7, seed=1, **options)
    matcher, first = kept(name, a)
    second = kept(name, b)[1]
    expected = occmask.match(a, b, matcher=name).numpy()
    np.testing.assert_allclose(matcher.scores(first, second), expected, atol=1e-6)
    np.testing.assert_allclose(matcher.tile(*map(torch.from_numpy, (first, second))).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(matcher.pairs(first, second[:5]), np.diag(expected[:, :5]), atol=1e-6)
    assert first.dtype == np.float32
    assert matcher.scores(first, second).dtype == np.float64


@given(at_once=st.integers(1, 200), name=st.sampled_from(BUILT_IN))
def test_scores_do_not_depend_on_how_many_rows_are_scored_at_once(at_once, name):
    matcher, first = kept(name, make_template(9))
    second = kept(name, make_template(9, seed=1))[1]
    whole = matcher.scores(first, second), matcher.pairs(first, second)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_AT_ONCE", at_once)
        parts = matcher.scores(first, second), matcher.pairs(first, second)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_what_a_matcher_does_not_read_is_not_kept():
    wide = make_template(3)
    assert kept("cosine", wide)[1].shape == kept("visible_cosine", wide)[1].shape == (3, 6)
    assert kept("fused", wide)[1].shape == (3, 6 + 24 + 4)


class _Loudest:
    """A matcher of somebody else, whose scores have no bound: the length of the embeddings."""

    def prepare(self, template):
        return occmask.Prepared(template.embedding.norm(dim=1, keepdim=True))

    def scores(self, a, b):
        return a.unit + b.unit.T

    def pairs(self, a, b):
        return (a.unit + b.unit)[:, 0]


def test_somebody_elses_matcher_is_compared_by_its_own_rule(monkeypatch):
    monkeypatch.setitem(MATCHERS._loaded, "loudest", _Loudest)
    a = make_template(3)
    matcher, first = kept("loudest", a)
    length = a.embedding.norm(dim=1)
    np.testing.assert_allclose(matcher.scores(first, first), length[:, None] + length, rtol=1e-6)


def test_rows_fused_with_their_mirror_image_keep_what_both_show():
    """The visible embedding of the fused template is the sum of both visible embeddings."""
    own, mirrored = make_template(4), make_template(4, seed=1)
    own.visible[0], mirrored.visible[0] = 1.0, 1.0
    own.visible[1], mirrored.visible[1] = torch.tensor([1.0, 0, 1, 0]), torch.tensor([0.0, 1, 1, 0])
    layout = TemplateLayout.of(own)
    matcher = TemplateRows("visible_cosine", layout)
    fused = layout.template(torch.from_numpy(matcher.fuse(*(layout.rows(t).numpy() for t in (own, mirrored)))))
    assert torch.allclose(fused.embedding, own.embedding + mirrored.embedding)
    assert torch.allclose(fused.visible, (own.visible + mirrored.visible) / 2)
    assert torch.allclose(fused.parts[0], own.parts[0] + mirrored.parts[0])  # all visible: the plain sum
    expected = sum((t.parts * t.visible[..., None]).sum(1) for t in (own, mirrored))
    found = (fused.parts * fused.visible[..., None]).sum(1)
    assert torch.allclose(found, expected, atol=0.02)  # but for the floor of a weight
    # Where only one of them shows a place, the fused part is that one's alone.
    assert torch.allclose(fused.parts[1, 0], 2 * own.parts[1, 0], rtol=0.02, atol=0.02)
    assert torch.allclose(fused.parts[1, 1], 2 * mirrored.parts[1, 1], rtol=0.02, atol=0.02)


def test_unknown_matchers_and_options_are_refused():
    layout = TemplateLayout.of(make_template(1))
    with pytest.raises(UnknownNameError, match="Did you mean 'fused'"):
        TemplateRows("fusd", layout)
    with pytest.raises(OptionError, match="share lies in"):
        TemplateRows(occmask.Spec("fused", share=2.0), layout)


def test_the_plain_cosine_is_that_of_embeddings():
    template = make_template(5, parts=False)
    matcher, found = kept("cosine", template)
    plain = COSINE.prepare(template.embedding.numpy())
    np.testing.assert_allclose(plain, found, atol=1e-7)
    np.testing.assert_allclose(COSINE.scores(plain, plain), matcher.scores(found, found), atol=1e-7)
    np.testing.assert_allclose(COSINE.pairs(plain, plain), 1, atol=1e-6)


@pytest.mark.parametrize("count", [3, 40])
@pytest.mark.parametrize("name", ["parts", "fused"])
def test_scores_are_those_of_the_formula_whichever_library_multiplies(name, count, monkeypatch):
    from occmask.matching import places

    monkeypatch.setattr(places, "_AT_ONCE", 1)  # blocks of 256
    a, b = make_template(count, width=16, places=6), make_template(600, width=16, places=6, seed=1)
    single = [Template(*(field.float() for field in t[:3]), t.grid) for t in (a, b)]
    exact = occmask.match(a, b, matcher=name)
    assert torch.allclose(occmask.match(*single, matcher=name).double(), exact, atol=1e-6)
    cosines = torch.einsum("apd,bpd->abp", *(torch.nn.functional.normalize(t.parts, dim=2) for t in (a, b)))
    weights = (a.visible[:, None] + 1e-3) * (b.visible + 1e-3)
    parts = (cosines * weights).sum(2) / weights.sum(2)
    share = 1.0 if name == "parts" else 0.5
    whole = occmask.match(a, b, matcher="visible_cosine")
    assert torch.allclose((1 - share) * whole + share * parts, exact, atol=1e-12)


def test_scores_pass_gradients_to_the_parts():
    template = make_template(20, width=8, places=4)
    parts = template.parts.float().requires_grad_()
    watched = Template(parts.sum(1), parts, template.visible.float(), template.grid)
    occmask.match(watched, watched).sum().backward()
    assert float(parts.grad.abs().sum()) > 0
