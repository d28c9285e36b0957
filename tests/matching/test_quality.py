"""Quality: how much of a face there is to compare."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask import Template
from occmask.matching.quality import part_energy, usable_area


def faces(visible: torch.Tensor, *, seed: int = 0) -> Template:
    parts = torch.randn(*visible.shape, 5, generator=torch.Generator().manual_seed(seed))
    return Template(parts.sum(1), parts, visible, (2, 2))


def test_the_usable_area_is_the_visible_share_where_all_places_carry_alike():
    template = faces(torch.tensor([[1.0, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]]))
    assert usable_area(template).tolist() == [1, 0.5, 0]
    torch.testing.assert_close(usable_area(template, energy=torch.full((4,), 7.0)), usable_area(template))


def test_hiding_a_place_that_carries_much_costs_more():
    template = faces(torch.tensor([[0.0, 1, 1, 1], [1, 0, 1, 1]]))
    usable = usable_area(template, energy=torch.tensor([0.7, 0.1, 0.1, 0.1]))
    torch.testing.assert_close(usable, torch.tensor([0.3, 0.9]))


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(0, 3), st.floats(0, 1))
def test_seeing_more_is_never_worse(visible, place, more):
    row = torch.tensor([visible])
    better = row.clone()
    better[0, place] = max(float(row[0, place]), more)
    energy = torch.tensor([0.1, 0.2, 0.3, 0.4])
    low, high = (float(usable_area(faces(v), energy=energy)) for v in (row, better))
    assert 0 <= low <= high + 1e-6 <= 1 + 2e-6


def test_the_energy_is_that_of_the_faces_that_show_the_place():
    template = faces(torch.tensor([[1.0, 1, 1, 1], [1, 0, 1, 1]]))
    template.parts[1, 1] = 1e3  # a cover
    energy = part_energy(template)
    expected = template.parts.square().sum(2).mean(0)
    expected[1] = template.parts[0, 1].square().sum()
    torch.testing.assert_close(energy, expected / expected.sum())


def test_where_nobody_looked_everything_is_usable():
    template = faces(torch.zeros(3, 4))
    assert usable_area(template._replace(visible=None)).tolist() == [1, 1, 1]
    assert usable_area(Template(template.embedding)).tolist() == [1, 1, 1]


def test_energy_of_other_parts_and_of_none_is_refused():
    template = faces(torch.ones(2, 4))
    for energy in (torch.ones(3), torch.zeros(4), torch.tensor([1.0, -1, 1, 1])):
        with pytest.raises(occmask.ShapeError, match="energy"):
            usable_area(template, energy=energy)
    with pytest.raises(occmask.ShapeError, match="no parts"):
        part_energy(Template(template.embedding))
