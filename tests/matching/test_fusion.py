"""Fusion: several pictures of one person become one template."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask import Template
from occmask.matching.fusion import fuse_templates

GRID = (3, 2)


def pictures(count: int, *, seed: int = 0) -> Template:
    random = torch.Generator().manual_seed(seed)
    parts = torch.randn(count, 6, 5, generator=random, dtype=torch.double)
    return Template(parts.sum(1), parts, torch.rand(count, 6, generator=random, dtype=torch.double), GRID)


def test_two_pictures_that_each_hide_another_half_give_the_whole_face():
    clean = pictures(1)
    parts = clean.parts.repeat(2, 1, 1)
    parts[0, :3] = 50.0  # what a cover looks like
    parts[1, 3:] = -50.0
    visible = torch.ones(2, 6, dtype=torch.double)
    visible[0, :3] = visible[1, 3:] = 0
    fused = fuse_templates(Template(parts.sum(1), parts, visible, GRID), [7, 7])
    assert torch.equal(fused.visible, torch.ones(1, 6, dtype=torch.double))
    assert (fused.parts - clean.parts).abs().max() < 0.1
    score = occmask.match(fused, clean._replace(visible=torch.ones(1, 6, dtype=torch.double)))
    assert score > 0.999


@given(st.permutations(range(7)))
def test_the_order_of_the_pictures_does_not_matter(order):
    template, groups = pictures(7), np.array([4, 1, 4, 9, 1, 4, 1])
    shuffled = Template(*(t[list(order)] for t in template[:3]), GRID)
    for a, b in zip(
        fuse_templates(template, groups)[:3], fuse_templates(shuffled, groups[list(order)])[:3], strict=True
    ):
        torch.testing.assert_close(a, b)


def test_one_picture_is_returned_as_it_is_beside_groups_of_several():
    template = pictures(4)
    template = template._replace(embedding=template.embedding + 1e-3)  # that of the model, rounded otherwise
    fused = fuse_templates(template, torch.tensor([5, 2, 5, 0]))
    for got, old in zip(fused[:3], template[:3], strict=True):
        assert torch.equal(got[0], old[3])
        assert torch.equal(got[1], old[1])
    alone = fuse_templates(template, np.arange(4))
    for got, old in zip(alone[:3], template[:3], strict=True):
        assert torch.equal(got, old)


def test_the_embedding_is_the_sum_of_the_parts_and_the_mean_where_all_is_seen():
    template = pictures(3)
    fused = fuse_templates(template, [0, 0, 0])
    torch.testing.assert_close(fused.embedding, fused.parts.sum(1))
    seen = template._replace(visible=None)
    torch.testing.assert_close(fuse_templates(seen, [0, 0, 0]).embedding[0], template.embedding.mean(0))
    assert fuse_templates(seen, [0, 0, 0]).visible is None
    plain = fuse_templates(Template(template.embedding), [0, 0, 0])
    torch.testing.assert_close(plain.embedding[0], template.embedding.mean(0))


def test_a_place_that_no_picture_shows_stays_hidden_and_finite():
    template = pictures(2)
    template.visible[:, 1] = 0
    fused = fuse_templates(template, [0, 0])
    assert fused.visible[0, 1] == 0
    torch.testing.assert_close(fused.parts[0, 1], template.parts[:, 1].mean(0))


def test_half_precision_stays_half_precision():
    template = pictures(3)
    half = Template(*(t.half() for t in template[:3]), GRID)
    assert {t.dtype for t in fuse_templates(half, [0, 0, 1])[:3]} == {torch.float16}


@pytest.mark.parametrize("groups", [[0, 0], [0.5, 1.0, 2.0], [[0, 0, 0]]])
def test_groups_that_are_not_one_a_picture_are_refused(groups):
    with pytest.raises(occmask.ShapeError, match="one a picture"):
        fuse_templates(pictures(3), groups)
