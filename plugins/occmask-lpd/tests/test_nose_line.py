"""How far down a face is free: geometry alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from occmask_lpd import NOSE_LINE, free_height

import occmask

SIZE = (112, 96)


def truth_of(x0: int, y0: int, x1: int, y1: int, *, with_map: bool = True) -> occmask.OcclusionTruth:
    """A rectangle, in pixels."""
    covered = torch.zeros(1, *SIZE, dtype=torch.bool)
    covered[:, y0:y1, x0:x1] = True
    box = torch.tensor([[x0 / SIZE[1], y0 / SIZE[0], x1 / SIZE[1], y1 / SIZE[0]]])
    return occmask.OcclusionTruth(box, covered if with_map else None)


@st.composite
def rectangles(draw: st.DrawFn) -> tuple[int, int, int, int]:
    x0, y0 = draw(st.integers(0, SIZE[1] - 1)), draw(st.integers(0, SIZE[0] - 1))
    return x0, y0, draw(st.integers(x0 + 1, SIZE[1])), draw(st.integers(y0 + 1, SIZE[0]))


@given(rectangles())
def test_the_height_is_the_nose_line_or_an_edge_near_it(rectangle):
    height = free_height(truth_of(*rectangle)).item()
    assert height == pytest.approx(NOSE_LINE) or height == pytest.approx(rectangle[1] / SIZE[0])
    assert abs(height - NOSE_LINE) <= 0.15 + 1e-6


@given(rectangles())
def test_map_and_box_of_a_rectangle_say_the_same(rectangle):
    # as soon as its columns are not within a pixel of what decides: half of the middle third
    x0, _, x1, _ = rectangle
    if abs(min(x1, 64) - max(x0, 32) - 16) > 1:
        by_map, by_box = (free_height(truth_of(*rectangle, with_map=known)).item() for known in (True, False))
        assert by_map == pytest.approx(by_box, abs=1 / 224 + 1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_a_mirrored_face_has_the_same_height(seed, share):
    generator = torch.Generator().manual_seed(seed)
    covered = torch.rand(3, 14, 12, generator=generator) < share
    covered[1, 9:] = True  # one of them wears something over the lower face
    box = torch.zeros(3, 4)
    heights = free_height(occmask.OcclusionTruth(box, covered))
    assert torch.equal(heights, free_height(occmask.OcclusionTruth(box, covered.flip(2))))


@given(st.integers(56, 87))
def test_what_hides_the_lower_face_sets_the_height_to_its_upper_edge(edge):
    assert free_height(truth_of(10, edge, 86, 112)).item() == pytest.approx(edge / 112)


@pytest.mark.parametrize(
    "rectangle",
    [
        pytest.param((10, 30, 86, 50), id="over the eyes"),
        pytest.param((10, 30, 86, 112), id="from the eyes down"),
        pytest.param((10, 95, 86, 112), id="the chin alone"),
        pytest.param((10, 70, 86, 85), id="the mouth alone"),
        pytest.param((0, 70, 30, 112), id="one cheek"),
        pytest.param((0, 0, 96, 112), id="everything"),
    ],
)
@pytest.mark.parametrize("with_map", [True, False])
def test_what_is_no_face_mask_leaves_the_nose_line(rectangle, with_map):
    assert free_height(truth_of(*rectangle, with_map=with_map)).item() == pytest.approx(NOSE_LINE)


def test_nothing_covered_leaves_the_nose_line():
    nothing = occmask.OcclusionTruth(torch.zeros(2, 4), torch.zeros(2, *SIZE, dtype=torch.bool))
    assert free_height(nothing, nose_line=0.6).tolist() == pytest.approx([0.6, 0.6])
    assert free_height(nothing._replace(covered=None), nose_line=0.6).tolist() == pytest.approx([0.6, 0.6])


def test_straps_at_the_sides_do_not_count():
    truth = truth_of(10, 70, 86, 112)
    assert truth.covered is not None
    truth.covered[:, 50:70, :12] = truth.covered[:, 50:70, -12:] = True
    assert free_height(truth).item() == pytest.approx(70 / 112)


def test_drawn_masks_worn_by_faces_are_found():
    spec = occmask.Spec("face_mask", styles=("surgical", "cup", "cloth", "folded"))
    recipe = occmask.RECIPES["lpd_masks"](clean_share=0.0, occluders=(spec,))
    mask = occmask.OCCLUDERS.build(recipe.occluders[0])
    placement = occmask.PLACEMENTS.build(recipe.placement)
    heights = []
    for seed in range(40):
        placed = placement(mask, np.random.default_rng(seed), SIZE)
        canvas = np.zeros(SIZE, bool)
        alpha = placed.pixels[..., 3] >= 128
        y0, x0 = max(0, placed.top), max(0, placed.left)
        part = alpha[y0 - placed.top :, x0 - placed.left :][: SIZE[0] - y0, : SIZE[1] - x0]
        canvas[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
        covered = torch.from_numpy(canvas)[None]
        heights.append(free_height(occmask.OcclusionTruth(torch.zeros(1, 4), covered)).item())
    assert all(0.5 < height < 0.7 for height in heights)
    assert sum(height != pytest.approx(NOSE_LINE) for height in heights) >= 38  # the edge itself, hardly ever the line
