"""Face masks follow the five points: where they are, how they tilt, and to which side the face is turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import OptionError, ShapeError, UnknownNameError
from occmask.images.template import template_points
from occmask.occluders import OCCLUDERS
from occmask.occluders.face_masks import STYLES, FaceMask, on_face
from occmask.occluders.occluder import TRAIN_OCCLUDERS
from occmask.spec import Spec

SIZE = (112, 96)
SEEDS = st.integers(0, 2**32 - 1)


def hidden(style: str, points: np.ndarray, seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    placed = FaceMask(styles=(style,)).draw_on(points, np.random.default_rng(seed), size)
    assert (placed.left, placed.top) == (0, 0)
    assert placed.pixels.shape == (*size, 4)
    return placed.pixels[..., 3] >= 128


@given(st.sampled_from(sorted(STYLES)), SEEDS)
def test_a_mask_hides_nose_mouth_and_chin_and_leaves_the_eyes_and_the_forehead(style: str, seed: int) -> None:
    points = template_points(SIZE)
    mask = hidden(style, points, seed)
    for x, y in np.rint(points[2:]).astype(int):
        assert mask[y, x]
    assert mask[100:106, 44:52].all()
    for x, y in np.rint(points[:2]).astype(int):
        assert not mask[y - 6 : y + 4, x - 6 : x + 7].any()
    assert not mask[:45].any()


@pytest.mark.parametrize("style", sorted(STYLES))
def test_a_larger_face_has_the_same_mask_at_its_size(style: str) -> None:
    small, large = hidden(style, template_points(SIZE), 4), hidden(style, template_points((224, 192)), 4, (224, 192))
    if style == "cloth":  # the print may be another piece of the texture; its outline is not
        assert abs(large.mean() - small.mean()) < 0.01
    agree = (large[::2, ::2] == small).mean()
    assert agree > 0.97


def turned(degrees: float, points: np.ndarray) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (points - (48, 70)) @ np.array([[c, s], [-s, c]]) + (48, 70)


@given(st.sampled_from(sorted(STYLES)), st.floats(-25, 25), SEEDS)
def test_a_mask_tilts_with_the_face(style: str, degrees: float, seed: int) -> None:
    points = turned(degrees, template_points(SIZE))
    mask = hidden(style, points, seed)
    for x, y in np.rint(points[2:]).astype(int):
        assert mask[y, x]
    for x, y in np.rint(points[:2]).astype(int):
        assert not mask[y, x]


def test_the_mask_of_a_face_turned_to_the_right_is_narrower_on_the_right() -> None:
    points = template_points(SIZE)
    points[2, 0] += 10
    outer = on_face(points)(np.array([(-1.0, 0.5), (1.0, 0.5)]))[:, 0]
    middle = on_face(points)(np.array([(0.0, 0.5)]))[0, 0]
    assert middle > 53
    assert outer[1] - middle < 0.8 * (middle - outer[0])


def test_the_faces_own_coordinates_put_eyes_and_mouth_where_the_points_are() -> None:
    points = np.array([(30.0, 40), (70, 44), (49, 62), (33, 84), (64, 86)])
    warp = on_face(points)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    assert np.allclose(warp(np.array([(0.0, 0.0)])), eyes)
    assert np.allclose(warp(np.array([(0.0, -1.0)])), 2 * eyes - mouth)
    assert np.abs(warp(np.array([(0.0, 1.0)])) - mouth).max() < 0.5


def test_every_style_and_several_colours_are_drawn() -> None:
    assert set(STYLES) == set(FaceMask().styles)
    for style in STYLES:
        colours = set()
        for seed in range(30):
            pixels = FaceMask(styles=(style,)).draw_on(template_points(SIZE), np.random.default_rng(seed), SIZE).pixels
            colours.add(tuple(pixels[95, 40, :3] // 48))
        assert len(colours) >= 2


def test_models_do_not_train_on_face_masks() -> None:
    assert "face_mask" in OCCLUDERS
    assert not any(spec.name == "face_mask" for spec in TRAIN_OCCLUDERS)


def test_points_that_span_no_face_and_unknown_styles_are_errors() -> None:
    with pytest.raises(ShapeError, match=r"\(5, 2\)"):
        on_face(np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="span no face"):
        on_face(np.zeros((5, 2)))
    with pytest.raises(ShapeError, match="span no face"):
        on_face(template_points(SIZE)[[1, 0, 2, 3, 4]])  # left and right exchanged
    with pytest.raises(UnknownNameError, match="Did you mean 'surgical'"):
        OCCLUDERS.build(Spec("face_mask", styles=("surgica",)))
    with pytest.raises(OptionError, match="sequence"):
        FaceMask(styles="cup")
