"""Recipes: boxes, maps and pixels agree, and a picture's randomness is its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occmask.errors import DataError, OccmaskError, OptionError, UnknownNameError
from occmask.images.pixels import is_grey
from occmask.images.template import template_points
from occmask.occluders.occlude import bounding_box
from occmask.occluders.occluder import TEST_OCCLUDERS, TRAIN_OCCLUDERS
from occmask.spec import Spec
from occmask.testsets import TESTSETS
from occmask.testsets.partial import PARTS, part_box
from occmask.testsets.recipe import Face, Made, random_of, training_note

SIZE = (112, 96)
SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.text(min_size=1, max_size=12)
OPAQUE = (
    Spec("area", share=0.1),
    Spec("area", share=0.5),
    Spec("region"),
    Spec("region", region="twoeyes", jitter=0),
    Spec("partial"),
    Spec("partial", part="left_eye"),
    Spec("random_crop"),
)
SOFT = (Spec("occ_lfw"), Spec("occ_lfw", factor=5.0), Spec("worn"), Spec("face_mask"))


def face(level: int | None = None) -> Face:
    image = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    return Face(image if level is None else np.full_like(image, level), template_points(SIZE))


def made(recipe: Spec, given_face: Face, seed: int = 100, name: str = "ann/1.png") -> Made:
    built = TESTSETS.build(recipe)
    return built(given_face, random_of(seed, built.condition, name))


@given(st.sampled_from(OPAQUE), SEEDS, NAMES)
def test_the_map_of_an_opaque_recipe_is_what_does_not_depend_on_the_face(recipe: Spec, seed: int, name: str) -> None:
    dark, light = made(recipe, face(0), seed, name), made(recipe, face(255), seed, name)
    assert (dark.covered == light.covered).all()
    same = (dark.image == light.image).all(-1)
    assert (same == dark.covered).all()
    assert (light.image[~light.covered] == 255).all()


@given(st.sampled_from(SOFT), SEEDS, NAMES)
def test_the_map_of_a_drawn_occluder_is_where_at_least_half_of_the_face_is_hidden(
    recipe: Spec, seed: int, name: str
) -> None:
    dark, light = made(recipe, face(0), seed, name), made(recipe, face(255), seed, name)
    assert (dark.covered == light.covered).all()
    through = light.image.astype(int)[..., 0] - dark.image[..., 0]  # 255 - alpha, to within rounding
    assert dark.covered[through < 126].all()
    assert not dark.covered[through > 128].any()


@given(st.sampled_from(OPAQUE + SOFT), SEEDS, NAMES)
def test_the_same_seed_and_name_give_the_same_picture_and_another_seed_or_name_another(
    recipe: Spec, seed: int, name: str
) -> None:
    first, second = made(recipe, face(), seed, name), made(recipe, face(), seed, name)
    for mine, theirs in zip(first, second, strict=True):
        assert np.array_equal(mine, theirs)
    x0, y0, x1, y1 = bounding_box(first.covered)
    rows, columns = np.nonzero(first.covered)
    if len(rows):
        expected = [columns.min() / 96, rows.min() / 112, (columns.max() + 1) / 96, (rows.max() + 1) / 112]
        assert [x0, y0, x1, y1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("recipe", [*OPAQUE, *SOFT], ids=repr)
def test_seeds_and_names_matter(recipe: Spec) -> None:
    if recipe.name == "partial":
        return  # nothing about it is random
    images = [made(recipe, face(), 100, name).image.tobytes() for name in "abcdefgh"]
    images += [made(recipe, face(), seed, "a").image.tobytes() for seed in range(8)]
    assert len(set(images)) >= 14  # of 16: an occluder may miss the face


@given(SEEDS, SEEDS, NAMES, NAMES)
def test_generators_of_two_pictures_differ(seed: int, other: int, name: str, also: str) -> None:
    first, second = random_of(seed, "area_40", name), random_of(other, "area_40", also)
    assert ((seed, name) == (other, also)) == (first.random(4).tolist() == second.random(4).tolist())
    assert random_of(seed, "area_40", name).random() != random_of(seed, "area_50", name).random()


@given(st.floats(0.01, 1), SEEDS)
def test_an_area_recipe_covers_its_share_to_the_pixel(share: float, seed: int) -> None:
    assert made(Spec("area", share=share), face(), seed).covered.sum() == round(share * 112 * 96)


def test_a_grey_picture_gets_a_grey_occluder_and_a_coloured_one_a_coloured() -> None:
    for seed in range(5):
        assert is_grey(made(Spec("area"), face(77), seed).image)
    assert any(not is_grey(made(Spec("worn", occluders=("cup",)), face(), seed).image) for seed in range(5))


# -- partial faces -------------------------------------------------------------------------------
def test_a_partial_face_shows_its_part_unchanged_and_the_rest_is_the_fill() -> None:
    for part in PARTS:
        result = made(Spec("partial", part=part, fill=7, crops=True), face())
        assert result.crop is not None
        x0, y0, x1, y1 = result.crop
        assert (result.image[y0:y1, x0:x1] == face().image[y0:y1, x0:x1]).all()
        assert (result.image[result.covered] == 7).all()
        assert (~result.covered).sum() == (x1 - x0) * (y1 - y0)
    assert made(Spec("partial"), face()).crop is None


def test_parts_lie_on_their_features() -> None:
    points = template_points(SIZE)
    left, right, nose, mouth, _ = points

    def holds(part: str, point: np.ndarray) -> bool:
        x0, y0, x1, y1 = part_box(part, points, SIZE)
        return bool(x0 <= point[0] < x1 and y0 <= point[1] < y1)

    assert holds("left_eye", left)
    assert not holds("left_eye", right)
    assert holds("right_eye", right)
    assert holds("eyes", left)
    assert holds("eyes", right)
    assert not holds("eyes", nose)
    assert holds("upper_half", left)
    assert not holds("upper_half", mouth)
    assert holds("lower_half", mouth)
    assert holds("mouth", mouth)
    assert holds("left_half", left)
    assert holds("right_half", right)
    assert not holds("right_half", left)
    halves = [part_box(part, points, SIZE) for part in ("left_half", "right_half")]
    assert halves[0].x1 == halves[1].x0


@given(st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)).map(sorted), SEEDS)
def test_a_random_crop_shows_the_asked_share(share: list[float], seed: int) -> None:
    result = made(Spec("random_crop", low=share[0], high=share[1]), face(), seed)
    visible = ~result.covered
    x0, y0, x1, y1 = np.rint(bounding_box(visible) * (96, 112, 96, 112)).astype(int)
    slack = max(x1 - x0, y1 - y0) / 2 + 1e-6
    assert visible.sum() == (x1 - x0) * (y1 - y0)
    assert share[0] * 112 * 96 - slack <= visible.sum() <= share[1] * 112 * 96 + slack


def test_a_part_outside_the_picture_is_an_error() -> None:
    with pytest.raises(DataError, match="outside the picture"):
        part_box("mouth", template_points(SIZE) + (0, 100), SIZE)


# -- which occluders -----------------------------------------------------------------------------
def test_no_recipe_draws_from_what_models_train_on_unless_asked() -> None:
    for name in TESTSETS:
        assert training_note(TESTSETS.build(name).occluders) == ""
    assert training_note(TEST_OCCLUDERS) == ""
    note = training_note(TRAIN_OCCLUDERS)
    for known in ("eyeglasses", "phone", "book", "rectangle of solid"):
        assert known in note
    assert "rectangle of blobs" in training_note(TESTSETS.build(Spec("area", occluders=("rectangle",))).occluders)
    assert "not known" in training_note((Spec("pictures", folder="x"),))


def test_an_own_folder_of_pictures_is_pasted_opaque(tmp_path: object) -> None:
    Image.new("RGBA", (24, 30), (9, 9, 9, 200)).save(f"{tmp_path}/card.png")
    pictures = (Spec("pictures", folder=str(tmp_path)),)
    for name in ("occ_lfw", "area", "region"):
        result = made(Spec(name, occluders=pictures), face(255))
        assert (result.image[result.covered] == 9).all()
        assert result.occluder == "pictures"


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        (Spec("aera"), UnknownNameError, "Did you mean 'area'"),
        (Spec("area", shar=1), OptionError, "Did you mean 'share'"),
        (Spec("area", share=0.0), OptionError, "covered share"),
        (Spec("area", share="much"), OptionError, "'share' is a number"),
        (Spec("area", occluders=("cup",)), OptionError, "use 'rectangle'"),
        (Spec("area", occluders="rectangle"), OptionError, "sequence of at least one"),
        (Spec("region", region="ear"), UnknownNameError, "no region"),
        (Spec("occ_lfw", factor=-1), OptionError, "factor"),
        (Spec("partial", part="ear"), UnknownNameError, "no part of a face"),
        (Spec("partial", fill=300), OptionError, "0..255"),
        (Spec("random_crop", low=0.5, high=0.2), OptionError, "low <= high"),
        (Spec("face_mask", occluders=("cup",)), OptionError, "no option 'occluders'"),
    ],
    ids=repr,
)
def test_wrong_options_say_what_would_have_worked(recipe: Spec, error: type[OccmaskError], message: str) -> None:
    with pytest.raises(error, match=message):
        TESTSETS.build(recipe)


def test_a_seed_out_of_range_is_an_error() -> None:
    with pytest.raises(OptionError, match="seed"):
        random_of(-1, "area_40", "a")
