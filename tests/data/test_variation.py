"""Faces under another light and turned a little: still faces, the same from the same generator, and off by default."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.data.faces import FaceSet
from occmask.data.stream import FaceStream
from occmask.data.variation import relit, warped
from occmask.errors import OptionError
from occmask.occluders.occlude import Occlusions

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.tuples(st.integers(8, 40), st.integers(8, 40))


def picture(height: int = 40, width: int = 32) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.repeat(((3 * x + 2 * y) % 256).astype(np.uint8)[..., None], 3, axis=2)


def faces() -> FaceSet:
    return FaceSet.from_arrays(np.stack([picture() + np.uint8(20 * i) for i in range(4)]), np.arange(4) % 2)


@given(SIZES, SEEDS, st.floats(0.01, 1))
def test_size_type_and_greyness_stay_and_the_picture_itself_is_left_alone(
    size: tuple[int, int], seed: int, amount: float
) -> None:
    image = picture(*size)
    before = image.copy()
    for change in (
        lambda rng: relit(image, rng, strength=amount),
        lambda rng: warped(image, rng, amount=min(amount, 0.3)),
    ):
        out = change(np.random.default_rng(seed))
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert (out[..., 0] == out[..., 2]).all()
        assert (out == change(np.random.default_rng(seed))).all()
    assert (image == before).all()


def test_nothing_changes_at_zero_and_more_at_more() -> None:
    image = picture()
    assert (relit(image, np.random.default_rng(0), strength=0) == image).all()
    assert (warped(image, np.random.default_rng(0), amount=0) == image).all()

    def change(strength: float) -> float:
        outs = [relit(image, np.random.default_rng(seed), strength=strength) for seed in range(20)]
        return float(np.mean([np.abs(out.astype(int) - image).mean() for out in outs]))

    assert change(0.05) < change(0.2) < change(0.8)


def test_a_warped_picture_still_shows_its_middle_in_the_middle() -> None:
    image = np.zeros((41, 33, 3), np.uint8)
    image[17:24, 13:20] = 255
    for seed in range(20):
        out = warped(image, np.random.default_rng(seed), amount=0.1)[..., 0].astype(float)
        y, x = np.mgrid[:41, :33]
        assert abs((out * y).sum() / out.sum() - 20) < 0.6
        assert abs((out * x).sum() / out.sum() - 16) < 0.6


def test_a_stream_without_them_is_what_it_was() -> None:
    plain = FaceStream(faces(), seed=3, length=4, occlusion=Occlusions(share=1))
    zero = FaceStream(faces(), seed=3, length=4, occlusion=Occlusions(share=1), warp=0.0, relight=0.0)
    varied = FaceStream(faces(), seed=3, length=4, warp=0.1, relight=0.5)
    bare = FaceStream(faces(), seed=3, length=4)
    for position in range(4):
        assert (plain[position].image == zero[position].image).all()
        assert not (varied[position].image == bare[position].image).all()
        assert not varied[position].truth.covered.any()  # a shadow covers nothing
        assert (varied[position].image == varied[position].image).all()


@pytest.mark.parametrize("option", ["warp", "relight"])
def test_what_is_no_share_is_refused(option: str) -> None:
    with pytest.raises(OptionError, match=f"{option} lies in"):
        FaceStream(faces(), seed=0, length=1, **{option: 1.5})
