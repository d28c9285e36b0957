"""Patchwork covers: made of training textures and generic outlines, and exact about what they hide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import OptionError, UnknownNameError
from occmask.occluders import OCCLUDERS, PLACEMENTS
from occmask.occluders.occlude import AreaPlacement, Occlusions, RandomPlacement, paste
from occmask.occluders.occluder import TEST_OCCLUDERS
from occmask.occluders.outlines import OUTLINES
from occmask.occluders.patchwork import Patchwork, mixed
from occmask.occluders.textures import TEST_TEXTURES, TRAIN_TEXTURES
from occmask.spec import Spec
from occmask.training.recipe import recipe_named

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", OUTLINES)
@given(seed=SEEDS, width=st.integers(1, 112))
def test_every_outline_hides_something_at_any_width(name: str, seed: int, width: int) -> None:
    pixels = Patchwork(outlines=(name,)).draw(np.random.default_rng(seed), width)
    assert pixels.dtype == np.uint8
    assert pixels.shape[1:] == (width, 4)
    assert (pixels[..., 3] >= 128).any()


@given(seed=SEEDS)
def test_what_is_not_covered_keeps_its_bytes_but_for_the_soft_edge(seed: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 96, 3), np.uint8)
    rng = np.random.default_rng(seed)
    placed = RandomPlacement((2.0,))(Patchwork(), rng, (112, 96))
    result = paste(image, placed)
    untouched = np.ones((112, 96), bool)
    for y, x in zip(*np.nonzero(placed.pixels[..., 3]), strict=True):
        if 0 <= y + placed.top < 112 and 0 <= x + placed.left < 96:
            untouched[y + placed.top, x + placed.left] = False
    assert (result.image[untouched] == image[untouched]).all()
    assert not (result.covered & untouched).any()


def test_two_pieces_leave_the_face_between_them_visible() -> None:
    for seed in range(20):
        pixels = Patchwork(outlines=("pair",), blur=0).draw(np.random.default_rng(seed), 80)
        hidden = (pixels[..., 3] >= 128).any(0)
        assert hidden[:38].any()
        assert hidden[42:].any()
        assert not hidden[40]


def test_a_patchwork_fills_an_exact_area() -> None:
    image = np.zeros((112, 96, 3), np.uint8)
    result = Occlusions(("patchwork",), AreaPlacement(0.25), share=1)(image, np.random.default_rng(0))
    assert abs(result.covered.mean() - 0.25) < 0.01


def test_mixtures_differ_more_than_their_textures() -> None:
    rng = np.random.default_rng(0)
    spread = [float(mixed(("solid", "noise"), rng, 24, 24).std()) for _ in range(200)]
    assert min(spread) < 3
    assert max(spread) > 60


def test_only_training_textures_are_mixed_unless_others_are_asked_for() -> None:
    built = OCCLUDERS.build("patchwork")
    assert set(built.textures) == set(TRAIN_TEXTURES)
    assert not set(built.textures) & set(TEST_TEXTURES)


def test_the_occupancy_recipe_shows_nothing_that_models_are_tested_on() -> None:
    recipe = recipe_named("occupancy")
    PLACEMENTS.build(recipe.placement)
    tested = {type(OCCLUDERS.build(spec)) for spec in TEST_OCCLUDERS if spec.name != "rectangle"}
    for spec in recipe.occluders:
        occluder = OCCLUDERS.build(spec)
        assert type(occluder) not in tested
        assert not set(getattr(occluder, "textures", ())) & set(TEST_TEXTURES)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"textures": ("solidd",)}, UnknownNameError, "Did you mean 'solid'"),
        ({"textures": "solid"}, OptionError, "sequence of at least one name"),
        ({"outlines": ("barr",)}, UnknownNameError, "Did you mean 'bar'"),
        ({"outlines": ()}, OptionError, "sequence of at least one name"),
        ({"blur": -1}, OptionError, "blur is a number of pixels"),
    ],
)
def test_wrong_options_say_what_would_have_worked(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        OCCLUDERS.build(Spec("patchwork", **options))
