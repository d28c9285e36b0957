"""Distortion: known geometry, kept edges, and nothing where nothing is asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask.images.distortion import distort

HEIGHT, WIDTH = 41, 31  # odd, so that the middle is a pixel


def noise(count: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


def blob(x: float, y: float) -> np.ndarray:
    """A bright spot whose centre of mass is at (x, y)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    spot = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
    return np.repeat(spot.astype(np.uint8)[None, ..., None], 3, axis=3)


def centre(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    weight = image[..., 0].astype(float)
    return (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()


def test_asked_for_nothing_nothing_changes():
    images = noise()
    assert np.array_equal(distort(images), images)
    assert np.array_equal(distort(images, shift=(0, 0), scale=1, rotation=360), images)


@given(st.integers(-6, 6), st.integers(-6, 6))
def test_a_whole_shift_moves_pixels_and_repeats_the_edge(right, down):
    image = noise(1)
    rows = np.clip(np.arange(HEIGHT) - down, 0, HEIGHT - 1)
    columns = np.clip(np.arange(WIDTH) - right, 0, WIDTH - 1)
    assert np.array_equal(distort(image, shift=(right, down))[0], image[0][rows][:, columns])


def test_half_a_pixel_is_the_mean_of_two():
    image = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    image[:, :, 10:] = 200
    assert distort(image, shift=(0.5, 0))[0, 5, 10, 0] == 100


def test_a_quarter_turn_is_clockwise_and_exact():
    image = np.random.default_rng(0).integers(0, 256, (1, 31, 31, 3), dtype=np.uint8)
    assert np.array_equal(distort(image, rotation=90)[0], np.rot90(image[0], -1))


@given(st.floats(-10, 10), st.floats(0.92, 1.08), st.floats(-5, 5), st.floats(-5, 5))
def test_a_spot_goes_where_the_similarity_takes_it(rotation, scale, right, down):
    x, y = 19.0, 13.0
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    turn = np.deg2rad(rotation)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    expected = matrix @ (np.array([x, y]) - middle) + middle + (right, down)
    found = centre(distort(blob(x, y), shift=(right, down), scale=scale, rotation=rotation)[0])
    np.testing.assert_allclose(found, expected, atol=0.12)


def test_each_picture_can_have_its_own_distortion():
    images = noise(3)
    together = distort(images, shift=[(1, 2), (0, 0), (-3, 1)], scale=[1.05, 1, 0.95], rotation=[5, 0, -5])
    for i, (move, scale, turn) in enumerate(zip([(1, 2), (0, 0), (-3, 1)], [1.05, 1, 0.95], [5, 0, -5], strict=True)):
        assert np.array_equal(together[i], distort(images[i : i + 1], shift=move, scale=scale, rotation=turn)[0])
    assert np.array_equal(together[1], images[1])


@pytest.mark.parametrize(
    "options", [{"shift": (1, 2, 3)}, {"shift": [(1, 2)] * 3}, {"scale": 0}, {"rotation": float("nan")}]
)
def test_what_is_no_distortion_is_refused(options):
    with pytest.raises(occmask.OptionError):
        distort(noise(2), **options)


def test_what_is_no_picture_is_refused():
    with pytest.raises(occmask.ShapeError, match="uint8"):
        distort(noise().astype(np.float32))
