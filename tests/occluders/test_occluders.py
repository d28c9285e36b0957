"""Drawn occluders and textures: deterministic, exact in size, disjoint between training and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occmask.errors import DataError, OptionError, UnknownNameError
from occmask.occluders import OCCLUDERS
from occmask.occluders.occluder import TEST_OCCLUDERS, TRAIN_OCCLUDERS, Occluder
from occmask.occluders.sketch import Sketch, box, ellipse
from occmask.occluders.textures import TEST_TEXTURES, TEXTURES, TRAIN_TEXTURES, bank, cut
from occmask.spec import Spec

DRAWN = sorted(name for name in OCCLUDERS if name != "pictures")


# -- disjointness --------------------------------------------------------------------------------
def test_no_texture_and_no_occluder_class_is_both_trained_and_tested_on() -> None:
    assert len(TRAIN_TEXTURES) == 7
    assert len(TEST_TEXTURES) == 6
    assert not {*TRAIN_TEXTURES} & {*TEST_TEXTURES}

    def parts(specs: tuple[Spec, ...]) -> tuple[set[str], set[str]]:
        classes = {type(OCCLUDERS.build(s)).__name__ for s in specs if s.name != "rectangle"}
        textures = {t for s in specs if s.name == "rectangle" for t in OCCLUDERS.build(s).textures}
        return classes, textures

    train_classes, train_textures = parts(TRAIN_OCCLUDERS)
    test_classes, test_textures = parts(TEST_OCCLUDERS)
    assert not train_classes & test_classes
    assert (train_textures, test_textures) == ({*TRAIN_TEXTURES}, {*TEST_TEXTURES})
    assert train_classes == {"Eyeglasses", "Phone", "Book"}
    assert test_classes == {"Sunglasses", "MouthMask", "Scarf", "Hand", "Cup"}


def test_no_test_picture_is_in_a_training_bank() -> None:
    train = {picture.tobytes() for name in TRAIN_TEXTURES for picture in bank(name)}
    test = {picture.tobytes() for name in TEST_TEXTURES for picture in bank(name)}
    assert not train & test


# -- textures ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(TEXTURES))
def test_a_bank_is_the_same_in_every_process_and_varied(name: str) -> None:
    first = [picture.tobytes() for picture in bank(name)]
    bank.cache_clear()
    assert [picture.tobytes() for picture in bank(name)] == first
    assert len(set(first)) == len(first)


@given(st.sampled_from(sorted(TEXTURES)), st.integers(1, 130), st.integers(1, 130), st.integers(0, 2**32 - 1))
def test_a_cut_has_the_asked_size_and_depends_on_the_generator_alone(name: str, h: int, w: int, seed: int) -> None:
    first = cut(name, np.random.default_rng(seed), h, w)
    assert first.shape == (h, w, 3)
    assert (first == cut(name, np.random.default_rng(seed), h, w)).all()


def test_an_unknown_texture_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'brik'\. Did you mean 'brick'"):
        OCCLUDERS.build(Spec("rectangle", textures=("brik",)))
    with pytest.raises(UnknownNameError, match="no texture"):
        bank("silk")
    with pytest.raises(OptionError, match="sequence of texture names"):
        OCCLUDERS.build(Spec("rectangle", textures="brick"))


# -- drawings ------------------------------------------------------------------------------------
# a patchwork's pieces lie anywhere in their frame; test_patchwork.py says what holds of them
@given(
    st.sampled_from([name for name in DRAWN if name != "patchwork"]), st.integers(16, 130), st.integers(0, 2**32 - 1)
)
def test_a_drawing_is_as_wide_as_asked_repeatable_and_covers_something(name: str, width: int, seed: int) -> None:
    occluder = OCCLUDERS.build(name)
    assert isinstance(occluder, Occluder)
    pixels = occluder.draw(np.random.default_rng(seed), width)
    assert pixels.dtype == np.uint8
    assert pixels.shape[1:] == (width, 4)
    assert (pixels == occluder.draw(np.random.default_rng(seed), width)).all()
    hidden = pixels[..., 3] >= 128
    assert hidden.any()
    rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
    assert len(columns) >= width - 3  # the drawing fills its frame, but for a faint edge
    assert rows[0] <= 2
    assert rows[-1] >= pixels.shape[0] - 3


@pytest.mark.parametrize("name", DRAWN)
def test_two_draws_differ(name: str) -> None:
    rng = np.random.default_rng(0)
    occluder = OCCLUDERS.build(name)
    assert not np.array_equal(occluder.draw(rng, 60), occluder.draw(rng, 60))


def hidden_share(name: str) -> float:
    rng = np.random.default_rng(3)
    return float(np.mean([(OCCLUDERS.build(name).draw(rng, 90)[..., 3] >= 128).mean() for _ in range(20)]))


def test_eyeglasses_hide_the_rim_only_and_sunglasses_the_eyes() -> None:
    assert hidden_share("eyeglasses") < 0.35
    assert hidden_share("sunglasses") > 0.6


def test_eyeglasses_lenses_are_transparent_and_sunglasses_dark() -> None:
    for seed in range(10):
        clear = OCCLUDERS.build("eyeglasses").draw(np.random.default_rng(seed), 96)
        dark = OCCLUDERS.build("sunglasses").draw(np.random.default_rng(seed), 96)
        for pixels, alpha in ((clear, 0), (dark, 255)):
            middle = pixels.shape[0] // 2
            for column in (25, 70):
                assert pixels[middle, column, 3] == alpha
        assert dark[dark.shape[0] // 2, 25, :3].max() < 110


def test_the_edge_of_a_drawing_is_smooth_and_its_colour_clean() -> None:
    sketch = Sketch()
    sketch.fill(ellipse(0, 0, 1, 1), (200, 100, 50))
    pixels = sketch.render(40)
    alpha = pixels[..., 3]
    assert ((alpha > 0) & (alpha < 255)).sum() > 40  # partly covered pixels all around
    seen = pixels[alpha > 64][:, :3].astype(int)
    assert np.abs(seen - (200, 100, 50)).max() <= 3  # no dark fringe from the transparent outside
    assert abs((alpha / 255.0).sum() - np.pi * 20**2) < 0.03 * np.pi * 20**2


@given(st.integers(1, 60), st.integers(1, 60))
def test_an_upright_box_fills_its_pixels_exactly(width: int, height: int) -> None:
    sketch = Sketch()
    sketch.fill(box(0, 0, width, height), (1, 2, 3))
    pixels = sketch.render(width)
    assert pixels.shape == (height, width, 4)
    assert (pixels == (1, 2, 3, 255)).all()


# -- pictures as occluders -----------------------------------------------------------------------
def test_pictures_keep_their_alpha_and_aspect(tmp_path: Path) -> None:
    ring = np.zeros((40, 80, 4), np.uint8)
    ring[5:35, 10:70] = (200, 0, 0, 255)
    ring[15:25, 30:50, 3] = 0
    Image.fromarray(ring).save(tmp_path / "ring.png")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    pixels = OCCLUDERS.build(Spec("pictures", folder=str(tmp_path))).draw(np.random.default_rng(0), 30)
    assert pixels.shape == (15, 30, 4)  # cropped to what can be seen: 60 x 30
    assert pixels[7, 15, 3] == 0
    assert pixels[1, 1].tolist() == [200, 0, 0, 255]


def test_an_opaque_picture_covers_its_whole_box(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (9, 8, 7)).save(tmp_path / "card.jpg", quality=100)
    pixels = OCCLUDERS.build(Spec("pictures", folder=str(tmp_path))).draw(np.random.default_rng(0), 40)
    assert pixels.shape == (20, 40, 4)
    assert (pixels[..., 3] == 255).all()


def test_bad_occluder_pictures_are_all_named_or_skipped(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (9, 8, 7)).save(tmp_path / "card.png")
    Image.new("RGBA", (20, 10), (9, 8, 7, 0)).save(tmp_path / "ghost.png")
    (tmp_path / "list.txt").write_text("card, ghost")
    with pytest.raises(DataError, match=r"2 of 3 .*ghost\.png: wholly transparent.*list\.txt: not a picture"):
        OCCLUDERS.build(Spec("pictures", folder=str(tmp_path)))
    pictures = OCCLUDERS.build(Spec("pictures", folder=str(tmp_path), unreadable="skip"))
    assert [Path(s.source).name for s in pictures.skipped] == ["ghost.png", "list.txt"]
    assert len(pictures.sources) == 1


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures"):
        OCCLUDERS.build(Spec("pictures", folder=str(tmp_path)))
    with pytest.raises(DataError, match="no such folder"):
        OCCLUDERS.build(Spec("pictures", folder=str(tmp_path / "none")))
