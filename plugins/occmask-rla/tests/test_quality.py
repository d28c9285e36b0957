"""PSNR and SSIM against cases computed by hand and against the definition written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from occmask_rla.quality import psnr, ssim, ssim_map

import occmask


def flat(value: float, size: tuple[int, int] = (16, 20)) -> np.ndarray:
    return np.full((1, *size, 3), value)


EVERYWHERE = np.ones((1, 16, 20), bool)


def noise(seed: int, size: tuple[int, int] = (16, 20)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, *size, 3)).astype(np.uint8)


def test_a_difference_of_51_everywhere_is_five_to_the_square():
    # 255 / 51 = 5, and 10 log10 25 = 13.979...
    assert psnr(flat(100), flat(151), EVERYWHERE) == pytest.approx(10 * math.log10(25))


def test_psnr_counts_the_given_places_only():
    pictures, where = flat(100), np.zeros((1, 16, 20), bool)
    pictures[0, :8] = 0  # far off, and not asked about
    where[0, 8:] = True
    assert psnr(pictures, flat(151), where) == pytest.approx(10 * math.log10(25))


def test_one_wrong_pixel_of_four_in_one_of_three_channels():
    truth = np.zeros((1, 2, 2, 3))
    pictures = truth.copy()
    pictures[0, 0, 0, 0] = 60  # mean squared error 60^2 / 12 = 300
    assert psnr(pictures, truth, np.ones((1, 2, 2), bool)) == pytest.approx(10 * math.log10(255**2 / 300))


def test_equal_pictures_have_infinite_psnr_and_ssim_1():
    picture = noise(0)
    assert np.isposinf(psnr(picture, picture, EVERYWHERE)).all()
    assert ssim(picture, picture, EVERYWHERE) == pytest.approx(1.0)


def test_a_picture_without_a_place_has_no_value():
    nowhere = np.zeros_like(EVERYWHERE)
    assert np.isnan(psnr(flat(0), flat(1), nowhere)).all()
    assert np.isnan(ssim(flat(0), flat(1), nowhere)).all()


@pytest.mark.parametrize(("x", "y"), [(100.0, 150.0), (0.0, 255.0), (30.0, 30.0)])
def test_flat_pictures_leave_only_the_luminance_term(x, y):
    c1 = (0.01 * 255) ** 2
    assert ssim(flat(x), flat(y), EVERYWHERE) == pytest.approx((2 * x * y + c1) / (x * x + y * y + c1), abs=1e-9)


def test_ssim_is_the_published_formula_at_a_place_whose_window_fits():
    x, y = noise(1).astype(float), noise(2).astype(float)
    row, column = 8, 9
    weights = np.array([[math.exp(-(i * i + j * j) / (2 * 1.5**2)) for j in range(-5, 6)] for i in range(-5, 6)])
    weights /= weights.sum()
    values = []
    for channel in range(3):
        a = x[0, row - 5 : row + 6, column - 5 : column + 6, channel]
        b = y[0, row - 5 : row + 6, column - 5 : column + 6, channel]
        ma, mb = (weights * a).sum(), (weights * b).sum()
        va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
        cov = (weights * (a - ma) * (b - mb)).sum()
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        values.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert ssim_map(x, y)[0, row, column] == pytest.approx(np.mean(values), rel=1e-9)


def test_grey_pictures_have_the_ssim_of_their_one_channel():
    x, y = (np.repeat(noise(seed)[..., :1], 3, axis=3) for seed in (5, 6))
    nearly = y.copy()
    nearly[0, 0, 0, 2] ^= 1  # no longer grey: every channel is looked at
    assert np.allclose(ssim_map(x, y), ssim_map(x[..., :1], y[..., :1]), atol=1e-12)
    assert np.allclose(ssim_map(x, y)[0, 8:], ssim_map(x, nearly)[0, 8:], atol=1e-12)


def test_a_window_is_cut_at_the_edge():
    """In a corner only a quarter of the window is there; what lies outside counts as nothing, not as black."""
    x, y = noise(3).astype(float), noise(4).astype(float)
    weights = np.array([[math.exp(-(i * i + j * j) / (2 * 1.5**2)) for j in range(6)] for i in range(6)])
    weights /= weights.sum()
    a, b = x[0, :6, :6, 0], y[0, :6, :6, 0]
    ma, mb = (weights * a).sum(), (weights * b).sum()
    cov = (weights * a * b).sum() - ma * mb
    va, vb = (weights * a * a).sum() - ma**2, (weights * b * b).sum() - mb**2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    assert ssim_map(x[..., :1], y[..., :1])[0, 0, 0] == pytest.approx(expected, rel=1e-9)


@given(seed=st.integers(0, 1000))
def test_both_measures_are_symmetric_and_bounded(seed):
    x, y = noise(seed), noise(seed + 1)
    where = np.random.default_rng(seed).random((1, 16, 20)) < 0.3
    where[0, 0, 0] = True
    assert psnr(x, y, where) == pytest.approx(psnr(y, x, where))
    assert ssim(x, y, where) == pytest.approx(ssim(y, x, where))
    assert (np.abs(ssim(x, y, where)) <= 1 + 1e-12).all()


def test_other_shapes_are_refused():
    with pytest.raises(occmask.ShapeError, match="N, H, W, C"):
        psnr(flat(0)[0], flat(0)[0], EVERYWHERE)
    with pytest.raises(occmask.ShapeError):
        ssim(flat(0), flat(0), EVERYWHERE[:, 1:])
