"""Where the regions of a face lie, and which of them covers of known place hide."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask.images.face_regions import FACE_REGIONS, region_masks, region_weights
from occmask.images.input_spec import InputSpec
from occmask.images.template import template_points
from occmask.models.reading import with_regions
from occmask.shapes import REGIONS, OcclusionAnswer

SIZES = [(112, 96), (112, 112), (224, 224), (56, 48)]
PARTS = ("forehead", "eyes", "nose", "mouth", "chin")


def regions_of(coverage: np.ndarray, size: tuple[int, int] = (112, 96)) -> OcclusionAnswer:
    """The answer of a model that sees the coverage (B, h, w) exactly."""
    cells = torch.from_numpy(coverage.astype(np.float32))
    answer = OcclusionAnswer(cells, torch.zeros(len(cells), 4), cells.flatten(1).amax(1))
    return with_regions(answer, InputSpec(size=size))


def test_the_names_are_those_of_answers_in_their_order():
    assert tuple(FACE_REGIONS) == REGIONS


@pytest.mark.parametrize("size", SIZES)
def test_each_point_of_the_template_lies_in_its_region_and_in_no_other(size):
    masks = dict(zip(REGIONS, region_masks(size), strict=True))
    points = [(int(y), int(x)) for x, y in template_points(size)]
    for point, name in zip(points, ("eyes", "eyes", "nose", "mouth", "mouth"), strict=True):
        assert [part for part in PARTS if masks[part][point]] == [name]
    sides = [[side for side in ("left", "right") if masks[side][point]] for point in points]
    assert [sides[i] for i in (0, 1, 3, 4)] == [["left"], ["right"], ["left"], ["right"]]


@pytest.mark.parametrize("size", SIZES)
def test_no_pixel_is_of_two_parts_nor_of_both_sides_and_the_parts_follow_each_other_downwards(size):
    masks = dict(zip(REGIONS, region_masks(size), strict=True))
    assert sum(masks[part].astype(int) for part in PARTS).max() == 1
    assert not (masks["left"] & masks["right"]).any()
    rows = [np.flatnonzero(masks[part].any(1)) for part in PARTS]
    for above, below in itertools.pairwise(rows):
        assert above[-1] < below[0]


@pytest.mark.parametrize("size", SIZES)
def test_left_and_right_mirror_each_other(size):
    masks = dict(zip(REGIONS, region_masks(size), strict=True))
    left, right = masks["left"], masks["right"][:, ::-1]
    assert (left ^ right).sum() <= 0.06 * left.sum()  # the template itself is not quite symmetric


@given(st.sampled_from(SIZES), st.integers(1, 30), st.integers(1, 30))
def test_weights_are_those_of_a_mean_on_any_grid(size, rows, columns):
    weights = region_weights(size, (rows, columns))
    assert weights.shape == (len(REGIONS), rows * columns)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


@given(st.sampled_from(REGIONS), st.sampled_from(SIZES))
def test_a_covered_region_is_covered_wholly_at_its_own_pixels(name, size):
    mask = region_masks(size)[REGIONS.index(name)]
    answer = regions_of(mask[None], size)
    assert float(answer.region(name)) == pytest.approx(1, abs=1e-3)
    assert bool(answer.is_covered(name, at_least=0.99))
    if name in PARTS:
        assert sum(float(answer.region(part)) for part in PARTS) == pytest.approx(1, abs=1e-3)


# The exact maps of what is drawn and worn, not a model's: what is checked is where the regions lie.
WORN = {
    "sunglasses": ({"eyes"}, {"mouth", "chin", "forehead"}),
    "mouth_mask": ({"nose", "mouth"}, {"eyes", "forehead"}),
    "scarf": ({"mouth", "chin"}, {"eyes", "forehead"}),
    "cup": ({"mouth"}, {"forehead"}),
}


@pytest.mark.parametrize("grid", [(112, 96), (28, 24), (7, 6)])
@pytest.mark.parametrize("worn", WORN)
def test_what_is_worn_covers_the_regions_where_it_is_worn(worn, grid):
    faces = np.full((40, 112, 96, 3), 128, np.uint8)
    covered = occmask.cover_probes(faces, worn, seed=0, grey=True).covered
    rows, columns = 112 // grid[0], 96 // grid[1]
    cells = covered.reshape(40, grid[0], rows, grid[1], columns).mean((2, 4))
    answer = regions_of(cells)
    hidden, seen = WORN[worn]
    for name in hidden:
        assert answer.is_covered(name).float().mean() >= 0.95, name
    for name in seen:
        assert answer.is_covered(name).float().mean() <= 0.05, name
    assert abs(float(answer.region("left").mean() - answer.region("right").mean())) < 0.08


@pytest.mark.parametrize("side", ["left", "right"])
def test_half_a_picture_covers_its_side(side):
    coverage = np.zeros((1, 28, 24))
    coverage[:, :, :12] = 1
    answer = regions_of(coverage if side == "left" else coverage[:, :, ::-1].copy())
    other = "right" if side == "left" else "left"
    assert bool(answer.is_covered(side, at_least=0.95))
    assert not answer.is_covered(other, at_least=0.05)
    assert 0.4 < float(answer.region("nose")) < 0.6


def test_an_answer_without_regions_and_a_wrong_name_say_so():
    cells = torch.zeros(1, 5, 5)
    with pytest.raises(occmask.OptionError, match=r"model\.occlusion"):
        OcclusionAnswer(cells, torch.zeros(1, 4), torch.zeros(1)).region("mouth")
    with pytest.raises(occmask.UnknownNameError, match="mouth"):
        regions_of(np.zeros((1, 5, 5))).is_covered("mouht")
    with pytest.raises(occmask.UnknownNameError, match="mouth"):
        region_masks((112, 96), ("mouht",))
