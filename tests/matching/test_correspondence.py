"""Soft correspondence: parts spread over their neighbours, and moved on their grid."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask import Template
from occmask.matching.correspondence import shift_parts, spread_parts

GRID = (5, 4)


def faces(count: int = 3, *, seed: int = 0, seen: bool = True) -> Template:
    random = torch.Generator().manual_seed(seed)
    parts = torch.randn(count, 20, 6, generator=random, dtype=torch.double)
    visible = torch.rand(count, 20, generator=random, dtype=torch.double) if seen else None
    return Template(parts.sum(1), parts, visible, GRID)


def test_no_spread_and_no_shift_change_nothing():
    template = faces()
    assert spread_parts(template, spread=0) is template
    assert shift_parts(template, down=0, across=0) is template
    alone = Template(template.embedding)
    assert spread_parts(alone, spread=1) is alone


@given(st.floats(0.2, 3))
def test_parts_that_are_all_alike_stay_alike_whatever_is_visible(spread):
    template = faces()
    same = template._replace(parts=template.parts[:, :1].expand(-1, 20, -1).contiguous())
    torch.testing.assert_close(spread_parts(same, spread=spread).parts, same.parts)


@given(st.floats(0.4, 3))
def test_what_is_covered_does_not_leak_into_what_is_seen(spread):
    template = faces()
    template.visible[:, 7] = 0
    other = template.parts.clone()
    other[:, 7] += 100
    spread_a, spread_b = (spread_parts(t, spread=spread) for t in (template, template._replace(parts=other)))
    torch.testing.assert_close(spread_a.parts, spread_b.parts)
    assert 0 < spread_a.visible[0, 7] < template.visible.max()


def test_a_place_takes_from_its_neighbours_as_the_gaussian_says():
    template = faces(1, seen=False)
    only = torch.zeros_like(template.parts)
    only[0, 9] = 1  # row 2, column 1
    mixed = spread_parts(template._replace(parts=only), spread=1.0).parts[0, :, 0].view(GRID)
    assert mixed[2, 1] == mixed.max()
    assert mixed[1, 1] == pytest.approx(float(mixed[3, 1]))
    assert mixed[2, 2] / mixed[2, 1] < 1


def test_a_face_of_which_nothing_is_seen_keeps_its_parts():
    template = faces(1)
    hidden = template._replace(visible=torch.zeros_like(template.visible))
    torch.testing.assert_close(spread_parts(hidden, spread=0.7).parts, template.parts)


def test_a_whole_shift_moves_parts_and_what_comes_in_is_not_visible():
    template = faces(2, seen=False)
    moved = shift_parts(template, down=1, across=0)
    torch.testing.assert_close(moved.parts[:, 4:], template.parts[:, :-4])
    assert torch.equal(moved.visible[:, :4], torch.zeros(2, 4, dtype=torch.double))
    assert torch.equal(moved.visible[:, 4:], torch.ones(2, 16, dtype=torch.double))


def test_half_a_place_is_the_mean_of_two_neighbours():
    template = faces(1, seen=False)
    parts = template.parts.view(5, 4, 6)
    moved = shift_parts(template, down=0, across=0.5).parts.view(5, 4, 6)
    torch.testing.assert_close(moved[:, 1:], (parts[:, 1:] + parts[:, :-1]) / 2)


@pytest.mark.parametrize("spread", [-1, float("nan"), True, "wide", 9])
def test_what_is_no_spread_is_refused(spread):
    with pytest.raises(occmask.OptionError, match="spread"):
        spread_parts(faces(), spread=spread)


def test_parts_of_an_unknown_grid_are_refused():
    lost = faces()._replace(grid=None)
    with pytest.raises(occmask.ShapeError, match="grid"):
        spread_parts(lost, spread=1)
    with pytest.raises(occmask.ShapeError, match="grid"):
        shift_parts(lost, down=1, across=0)
