"""Placing and pasting: the box and the map say exactly what is covered, and nothing else changes."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import OptionError, ShapeError, UnknownNameError
from occmask.images.pixels import is_grey, luminance
from occmask.occluders import OCCLUDERS
from occmask.occluders.conditions import CONDITIONS, cover_probes
from occmask.occluders.occlude import (
    AreaPlacement,
    Covered,
    Occlusions,
    Placed,
    RandomPlacement,
    WornPlacement,
    bounding_box,
    mirror,
    paste,
)
from occmask.occluders.occluder import TRAIN_OCCLUDERS
from occmask.spec import Spec

SEEDS = st.integers(0, 2**32 - 1)
DRAWN = sorted(name for name in OCCLUDERS if name != "pictures")
PLACEMENTS = (RandomPlacement(), WornPlacement())


def face(height: int = 112, width: int = 96, *, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def brute_force_box(covered: np.ndarray) -> list[float]:
    h, w = covered.shape
    points = [(y, x) for y in range(h) for x in range(w) if covered[y, x]]
    if not points:
        return [0, 0, 0, 0]
    ys, xs = zip(*points, strict=True)
    return [min(xs) / w, min(ys) / h, (max(xs) + 1) / w, (max(ys) + 1) / h]


# -- pasting -------------------------------------------------------------------------------------
@given(st.tuples(st.integers(1, 20), st.integers(1, 20)), st.integers(-30, 30), st.integers(-30, 30), SEEDS)
def test_pasting_is_the_definition_pixel_by_pixel(size: tuple[int, int], left: int, top: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = face(16, 14)
    pixels = rng.integers(0, 256, (*size, 4), dtype=np.uint8)
    pixels[..., 3] = rng.choice([0, 1, 127, 128, 200, 255], size)
    result = paste(image, Placed(pixels, left, top))
    alpha = np.zeros((16, 14), int)
    colour = np.zeros((16, 14, 3), int)
    for y in range(size[0]):
        for x in range(size[1]):
            if 0 <= y + top < 16 and 0 <= x + left < 14:
                alpha[y + top, x + left] = pixels[y, x, 3]
                colour[y + top, x + left] = pixels[y, x, :3]
    covered = alpha >= 128
    assert (result.covered == covered).all()
    assert result.box == pytest.approx(brute_force_box(covered), abs=1e-7)
    if covered.any():
        exact = (image * (255 - alpha[..., None]) + colour * alpha[..., None]) / 255
        assert np.abs(result.image - exact).max() <= 0.5
    else:
        assert (result.image == image).all()


@given(st.sampled_from(DRAWN), st.sampled_from(PLACEMENTS), SEEDS, st.booleans())
def test_the_box_bounds_the_map_and_what_is_not_touched_keeps_its_bytes(
    name: str, placement: RandomPlacement | WornPlacement, seed: int, grey: bool
) -> None:
    image = face()
    occluder = OCCLUDERS.build(name)
    placed = placement(occluder, np.random.default_rng(seed), (112, 96))
    result = paste(image, placed, grey=grey)
    x0, y0, x1, y1 = result.box
    assert result.box == pytest.approx(brute_force_box(result.covered), abs=1e-7)
    assert 0 <= x0 <= x1 <= 1
    assert 0 <= y0 <= y1 <= 1
    assert (result.box == 0).all() == (not result.covered.any())
    touched = np.zeros((112, 96), bool)
    for y, x in np.argwhere(placed.pixels[..., 3] > 0):
        if 0 <= y + placed.top < 112 and 0 <= x + placed.left < 96:
            touched[y + placed.top, x + placed.left] = True
    assert (result.image[~touched] == image[~touched]).all()
    assert not (result.covered & ~touched).any()
    assert (image == face()).all()  # the caller's picture is left alone


@given(st.sampled_from(DRAWN), SEEDS)
def test_mirroring_moves_image_box_and_map_together_and_twice_is_once_back(name: str, seed: int) -> None:
    result = Occlusions((name,), share=1)(face(), np.random.default_rng(seed))
    turned = mirror(result)
    assert (turned.image == result.image[:, ::-1]).all()
    assert turned.box == pytest.approx(bounding_box(result.covered[:, ::-1]), abs=0)
    if result.covered.any():
        x0, y0, x1, y1 = result.box
        assert turned.box == pytest.approx([1 - x1, y0, 1 - x0, y1], abs=1e-6)
    back = mirror(turned)
    for mine, theirs in zip(back, result, strict=True):
        assert (mine == theirs).all()


def test_grey_takes_the_colour_from_the_occluder_before_it_is_pasted() -> None:
    image = face()[..., :1].repeat(3, -1)
    for seed in range(20):
        colour = Occlusions(share=1)(image, np.random.default_rng(seed))
        grey = Occlusions(share=1)(image, np.random.default_rng(seed), grey=True)
        assert is_grey(grey.image)
        assert (grey.covered == colour.covered).all()
        assert (grey.box == colour.box).all()
        assert np.abs(luminance(colour.image).astype(int) - grey.image).max() <= 1


def test_only_faces_are_pasted_on() -> None:
    with pytest.raises(ShapeError, match="uint8"):
        paste(np.zeros((8, 8, 3)), Placed(np.zeros((2, 2, 4), np.uint8), 0, 0))


# -- FROM's recipe -------------------------------------------------------------------------------
def opaque(*, aspect: float = 1.0) -> object:
    class Slab:
        worn = OCCLUDERS.build("rectangle").worn

        def draw(self, rng: np.random.Generator, width: int) -> np.ndarray:
            return np.full((round(width * aspect), width, 4), 255, np.uint8)

    return Slab()


def test_scale_one_is_a_quarter_of_the_width_and_the_aspect_is_the_occluders_own() -> None:
    rng = np.random.default_rng(0)
    for scale, size in ((1, 24), (1.5, 36), (4, 96)):
        placed = RandomPlacement((scale,))(opaque(aspect=0.5), rng, (112, 96))
        assert placed.pixels.shape[:2] == (size // 2, size)
    assert RandomPlacement((5,))(opaque(aspect=2), rng, (112, 96)).pixels.shape[:2] == (112, 96)


def test_scales_are_drawn_evenly() -> None:
    rng = np.random.default_rng(0)
    widths = [RandomPlacement()(opaque(aspect=0.2), rng, (112, 400)).pixels.shape[1] for _ in range(3000)]
    sizes, counts = np.unique(widths, return_counts=True)
    assert sizes.tolist() == [100, 150, 200, 250, 300, 350, 400]  # 4 and above are as wide as the face
    assert np.abs(counts[:6] / 3000 - 1 / 9).max() < 0.03


def test_the_centre_falls_on_every_pixel_and_the_face_can_be_covered_wholly() -> None:
    rng = np.random.default_rng(0)
    image = face(8, 8)
    centres, boxes = set(), []
    for _ in range(2000):
        placed = RandomPlacement((4,))(opaque(), rng, (8, 8))
        centres.add((placed.left + 4, placed.top + 4))
        boxes.append(paste(image, placed).box.tolist())
    assert centres == {(x, y) for x in range(8) for y in range(8)}
    assert [0, 0, 1, 1] in boxes


def test_an_occluder_hanging_off_the_face_is_clipped_by_its_border() -> None:
    result = paste(face(), Placed(np.full((40, 40, 4), 255, np.uint8), -10, 100))
    assert result.box == pytest.approx([0, 100 / 112, 30 / 96, 1])
    assert result.covered.sum() == 12 * 30


# -- exact areas ---------------------------------------------------------------------------------
@given(
    st.tuples(st.integers(8, 160), st.integers(8, 160)),
    st.tuples(st.floats(0.02, 1), st.floats(0.02, 1)).map(sorted),
    SEEDS,
)
def test_an_area_is_met_to_half_a_row_or_column_inside_the_face(
    size: tuple[int, int], share: list[float], seed: int
) -> None:
    height, width = size
    result = Occlusions(("rectangle",), AreaPlacement(*share), share=1)(face(*size), np.random.default_rng(seed))
    x0, y0, x1, y1 = np.rint(result.box * (width, height, width, height)).astype(int)
    tall, wide = y1 - y0, x1 - x0
    area = int(result.covered.sum())
    assert area == tall * wide
    slack = max(tall, wide) / 2 + 1e-6
    assert share[0] * height * width - slack <= area <= share[1] * height * width + slack


@given(st.floats(0.1, 0.6), SEEDS)
def test_an_area_is_half_to_twice_as_tall_as_wide(share: float, seed: int) -> None:
    placed = AreaPlacement(share)(OCCLUDERS.build("rectangle"), np.random.default_rng(seed), (112, 96))
    tall, wide = placed.pixels.shape[:2]
    assert (tall - 1) / (wide + 1) <= 2
    assert (tall + 1) / (wide - 1) >= 0.5
    assert 0 <= placed.left <= 96 - wide
    assert 0 <= placed.top <= 112 - tall


def test_an_area_needs_an_occluder_that_fills_it() -> None:
    with pytest.raises(OptionError, match=r"Cup has no fill\(\); use 'rectangle' or 'pictures'"):
        Occlusions(("rectangle", "cup"), AreaPlacement(0.2))
    for wrong in ((0, 0.5), (0.5, 0.2), (0.5, 1.5)):
        with pytest.raises(OptionError, match="0 < low <= high <= 1"):
            AreaPlacement(*wrong)


# -- where things are worn -----------------------------------------------------------------------
EYES, MOUTH = slice(46, 60), slice(80, 90)  # rows of the ORL picture in which the eyes and the mouth lie


@pytest.mark.parametrize(
    ("name", "hidden", "free"),
    [("sunglasses", EYES, MOUTH), ("mouth_mask", MOUTH, EYES), ("scarf", MOUTH, EYES), ("cup", MOUTH, slice(0, 46))],
)
def test_what_is_worn_sits_where_it_belongs(name: str, hidden: slice, free: slice) -> None:
    covered = cover_probes(face()[None].repeat(40, 0), name, seed=0, grey=False).covered.mean(0)
    assert covered[hidden, 36:60].mean() > (0.5 if name == "sunglasses" else 0.8)
    assert covered[free].mean() < 0.1


@pytest.mark.parametrize("name", [name for name in DRAWN if name != "face_mask"])
@given(seed=SEEDS)
def test_what_is_worn_has_one_size_on_the_face_however_wide_the_picture_is(name: str, seed: int) -> None:
    occluder = OCCLUDERS.build(name)
    narrow, wide = (WornPlacement()(occluder, np.random.default_rng(seed), (112, width)) for width in (96, 112))
    assert (wide.left, wide.top) == (narrow.left + 8, narrow.top)  # 112x96 is columns 8 to 104 of 112x112
    assert (wide.pixels == narrow.pixels).all()


# -- drawing a share -----------------------------------------------------------------------------
def test_the_asked_share_is_covered_and_the_rest_is_byte_for_byte_clean() -> None:
    occlusions, rng, image = Occlusions(("rectangle",), share=2 / 3), np.random.default_rng(0), face()
    results = [occlusions(image, rng) for _ in range(900)]
    clean = [r for r in results if not r.covered.any()]
    assert abs(len(clean) / 900 - 1 / 3) < 0.05
    assert all((r.image == image).all() and (r.box == 0).all() for r in clean)
    assert all(not r.covered.any() for r in (Occlusions(share=0)(image, rng) for _ in range(20)))


def test_every_training_occluder_is_drawn() -> None:
    drawn: set[str] = set()

    class Watch(RandomPlacement):
        def __call__(self, occluder: object, rng: object, image_size: object) -> Placed:
            drawn.add(getattr(occluder, "textures", (type(occluder).__name__,))[0])
            return Placed(np.zeros((1, 1, 4), np.uint8), 0, 0)

    occlusions, rng = Occlusions(TRAIN_OCCLUDERS, Watch()), np.random.default_rng(0)
    for _ in range(300):
        occlusions(face(), rng)
    assert len(drawn) == 10


def test_wrong_options_say_what_would_have_worked() -> None:
    with pytest.raises(OptionError, match="share is the part"):
        Occlusions(share=1.5)
    with pytest.raises(OptionError, match="sequence of at least one occluder"):
        Occlusions("cup")
    with pytest.raises(UnknownNameError, match="Did you mean 'cup'"):
        Occlusions(("cupp",))
    with pytest.raises(OptionError, match="positive numbers"):
        RandomPlacement(())


def test_an_own_occluder_needs_no_registration() -> None:
    result = Occlusions((opaque(), Spec("cup")), share=1)(face(), np.random.default_rng(0))
    assert isinstance(result, Covered)


# -- conditions ----------------------------------------------------------------------------------
@pytest.mark.parametrize("condition", CONDITIONS)
def test_probes_of_a_condition_are_reproducible_one_by_one(condition: str) -> None:
    images = np.stack([face(seed=i)[..., :1].repeat(3, -1) for i in range(6)])
    before = images.copy()
    probes = cover_probes(images, condition, seed=3, grey=True)
    assert (images == before).all()
    assert is_grey(probes.images)
    for image, box, covered in zip(*probes, strict=True):
        assert box == pytest.approx(brute_force_box(covered), abs=1e-7)
        assert covered.any() == (condition != "clean")
        del image
    fewer = cover_probes(images[:2], condition, seed=3, grey=True)
    assert (fewer.images == probes.images[:2]).all()
    if condition == "clean":
        assert (probes.images == images).all()
    else:
        other = cover_probes(images, condition, seed=4, grey=True)
        assert (other.images != probes.images).any()
    if condition.startswith("area_"):
        asked = int(condition.removeprefix("area_")) / 100
        assert np.abs(probes.covered.mean((1, 2)) - asked).max() <= ceil(112 / 2) / (112 * 96)


def test_an_unknown_condition_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'area_40'"):
        cover_probes(face()[None], "area_4", seed=0, grey=False)
    with pytest.raises(ShapeError, match=r"\(N, H, W, 3\)"):
        cover_probes(face(), "clean", seed=0, grey=False)
    with pytest.raises(OptionError, match="seed"):
        cover_probes(face()[None], "clean", seed=-1, grey=False)
