"""Exact areas, FROM's factors and fixed regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occmask.errors import OptionError, UnknownNameError
from occmask.occluders import OCCLUDERS
from occmask.occluders.exact import ExactAreaPlacement, FactorPlacement
from occmask.occluders.occlude import paste
from occmask.occluders.regions import REGIONS, RegionPlacement, region_box
from occmask.spec import Spec

SEEDS = st.integers(0, 2**32 - 1)


def face(height: int = 112, width: int = 96) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def edges(box: np.ndarray, size: tuple[int, int]) -> list[int]:
    height, width = size
    return np.rint(box * (width, height, width, height)).astype(int).tolist()


# -- areas ---------------------------------------------------------------------------------------
@given(st.tuples(st.integers(1, 130), st.integers(1, 130)), st.floats(0.001, 1), SEEDS)
def test_exactly_the_asked_share_is_covered_by_a_rectangle_whose_last_column_may_end_early(
    size: tuple[int, int], share: float, seed: int
) -> None:
    placed = ExactAreaPlacement(share)(OCCLUDERS.build("rectangle"), np.random.default_rng(seed), size)
    result = paste(face(*size), placed)
    assert result.covered.sum() == max(1, round(share * size[0] * size[1]))
    x0, y0, x1, y1 = edges(result.box, size)
    inside = result.covered[y0:y1, x0:x1]
    assert inside[:, :-1].all()
    assert (np.diff(inside[:, -1].astype(int)) <= 0).all()


@given(st.floats(0.05, 0.6), SEEDS)
def test_an_exact_area_is_half_to_twice_as_tall_as_wide(share: float, seed: int) -> None:
    placed = ExactAreaPlacement(share)(OCCLUDERS.build("rectangle"), np.random.default_rng(seed), (112, 96))
    tall, wide = placed.pixels.shape[:2]
    assert (tall - 1) / (wide + 1) <= 2
    assert (tall + 1) / (wide - 1) >= 0.5


# -- factors -------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("cards")
    card = np.full((31, 22, 4), 200, np.uint8)
    card[5:8, 5:8, 3] = 0  # a hole, which an opaque paste does not show
    Image.fromarray(card).save(folder / "card.png")
    return str(folder)


@pytest.mark.parametrize(("factor", "size"), [(1.0, (22, 31)), (1.5, (33, 46)), (3.0, (66, 93)), (5.0, (95, 111))])
def test_a_picture_becomes_factor_times_its_own_size_and_at_most_one_pixel_less_than_the_face(
    factor: float, size: tuple[int, int], cards: str
) -> None:
    occluder = OCCLUDERS.build(Spec("pictures", folder=cards))
    placed = FactorPlacement(factor)(occluder, np.random.default_rng(0), (112, 96))
    assert placed.pixels.shape[1::-1] == size
    assert (placed.pixels[..., 3] == 255).all()


def test_the_centre_of_a_picture_falls_on_every_pixel_and_so_it_always_covers_something(cards: str) -> None:
    occluder, rng, centres = OCCLUDERS.build(Spec("pictures", folder=cards)), np.random.default_rng(0), set()
    for _ in range(1500):
        placed = FactorPlacement(1)(occluder, rng, (12, 10))
        centres.add((placed.left + placed.pixels.shape[1] // 2, placed.top + placed.pixels.shape[0] // 2))
        assert paste(face(12, 10), placed).covered.any()
    assert centres == {(x, y) for x in range(10) for y in range(12)}


def test_a_drawn_occluder_of_factor_one_is_a_quarter_of_the_face_wide() -> None:
    for factor, width in ((1, 24), (2, 48), (3.5, 84), (5, 95)):
        placed = FactorPlacement(factor)(OCCLUDERS.build("cup"), np.random.default_rng(3), (112, 96))
        assert placed.pixels.shape[1] == width
        assert placed.pixels.shape[0] <= 111
    with pytest.raises(OptionError, match="factor"):
        FactorPlacement(0)


# -- regions -------------------------------------------------------------------------------------
PUBLISHED = {
    "left_face": (12, 44, 52, 104),
    "right_face": (52, 44, 92, 104),
    "up_face": (10, 15, 85, 65),
    "down_face": (10, 65, 85, 105),
    "twoeyes": (16, 44, 86, 64),
    "left_eye_hard": (10, 35, 50, 65),
    "right_eye_hard": (50, 35, 90, 65),
    "nose_hard": (33, 45, 63, 85),
    "mouth_hard": (25, 80, 75, 110),
    "nose_mouth_hard": (25, 60, 75, 110),
}


def test_regions_are_the_published_ten_at_112x96_and_8_pixels_further_right_at_112x112() -> None:
    assert set(REGIONS) == set(PUBLISHED)
    for name, (x0, y0, x1, y1) in PUBLISHED.items():
        assert region_box(name, (112, 96)) == (x0, y0, x1, y1)
        assert region_box(name, (112, 112)) == (x0 + 8, y0, x1 + 8, y1)
        assert region_box(name, (224, 192)) == (2 * x0, 2 * y0, 2 * x1, 2 * y1)


@given(st.sampled_from(sorted(REGIONS)), SEEDS)
def test_a_region_without_jitter_is_covered_exactly(name: str, seed: int) -> None:
    placed = RegionPlacement(name, jitter=0)(OCCLUDERS.build("rectangle"), np.random.default_rng(seed), (112, 96))
    result = paste(face(), placed)
    x0, y0, x1, y1 = PUBLISHED[name]
    assert edges(result.box, (112, 96)) == [x0, y0, x1, y1]
    assert result.covered.sum() == (x1 - x0) * (y1 - y0)


def test_jitter_moves_a_region_along_the_diagonal_by_every_whole_number_up_to_it() -> None:
    rng, occluder = np.random.default_rng(0), OCCLUDERS.build("rectangle")
    moves = {
        (placed.left - 33, placed.top - 45)
        for placed in (RegionPlacement("nose_hard", jitter=5)(occluder, rng, (112, 96)) for _ in range(300))
    }
    assert moves == {(move, move) for move in range(-5, 6)}


def test_a_region_is_filled_by_a_picture_stretched_over_it(cards: str) -> None:
    occluder = OCCLUDERS.build(Spec("pictures", folder=cards))
    placed = RegionPlacement("twoeyes", jitter=0)(occluder, np.random.default_rng(0), (112, 96))
    assert placed.pixels.shape == (20, 70, 4)
    assert (placed.pixels[..., 3] == 255).all()


def test_wrong_regions_and_occluders_say_what_would_have_worked(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'twoeyes'"):
        RegionPlacement("two_eyes")
    with pytest.raises(OptionError, match="jitter"):
        RegionPlacement("twoeyes", jitter=-1)
    with pytest.raises(OptionError, match=r"Cup has no fill\(\)"):
        RegionPlacement("twoeyes").check(OCCLUDERS.build("cup"))
