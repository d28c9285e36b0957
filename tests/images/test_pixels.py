"""Every kind of picture file is either decoded faithfully or refused with its name and the reason."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occmask.errors import DataError, ShapeError
from occmask.images.pixels import fit, is_grey, luminance, to_tensor
from occmask.images.reading import read_picture


def noise(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y / height, 255 * x / width, 128 + 0 * x], axis=-1).astype(np.uint8)


# -- bad files ---------------------------------------------------------------------------------
def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nobody\.png: no such file"):
        read_picture(tmp_path / "nobody.png")


def test_a_folder_is_not_a_picture(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder where a picture file was expected"):
        read_picture(tmp_path)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(DataError, match=r"empty\.jpg: empty file"):
        read_picture(tmp_path / "empty.jpg")


def test_a_text_file_called_png_is_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("this is not a picture")
    with pytest.raises(DataError, match=r"text\.png: not a picture"):
        read_picture(tmp_path / "text.png")


@pytest.mark.parametrize("extension", ["jpg", "png", "pgm", "bmp", "webp", "tiff", "gif"])
def test_a_truncated_file_is_named(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"cut.{extension}"
    Image.fromarray(noise(64, 64)).convert("L").save(path)
    read_picture(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"cut\.{extension}: (truncated or damaged|not a) picture"):
        read_picture(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="not a regular file"):
        read_picture(tmp_path / "pipe.png")


def test_floating_point_pixels_are_refused_with_what_would_work(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(DataError, match="save it with 8 or 16 bits"):
        read_picture(tmp_path / "float.tiff")


@given(
    st.binary(min_size=1, max_size=200), st.sampled_from([b"", b"P5 8 8 255\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
)
def test_random_bytes_give_a_one_line_data_error_or_a_picture(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.bin"
    path.write_bytes(magic + content)
    message, mode = "", ""
    try:
        mode = read_picture(path).mode
    except DataError as e:
        message = str(e)
    assert mode in ("L", "RGB", "RGBA") or str(path) in message
    assert "\n" not in message


# -- good files of every kind --------------------------------------------------------------------
def test_an_extension_that_is_wrong_does_not_matter(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8)).save(tmp_path / "face.dat", format="PNG")
    assert (np.asarray(read_picture(tmp_path / "face.dat")) == noise(8, 8)).all()


def test_names_in_any_script_are_read(tmp_path: Path) -> None:
    path = tmp_path / "\u0437\u043e\u044f \u5f20\u4f1f.png"
    Image.fromarray(noise(8, 8)).save(path)
    assert (np.asarray(read_picture(path)) == noise(8, 8)).all()


def test_a_line_break_in_a_name_does_not_break_the_message(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_picture(tmp_path / "two\nlines.png")
    assert "\n" not in str(caught.value)


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    (tmp_path / "deep.pgm").write_bytes(b"P5 16 16 65535\n" + deep.astype(">u2").tobytes())
    for name in ("deep.png", "deep.pgm"):
        assert (np.asarray(read_picture(tmp_path / name)) == np.arange(256).reshape(16, 16)).all()


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.putpixel((0, 0), 0)
    picture.save(tmp_path / "palette.png", transparency=0)
    pixels = np.asarray(read_picture(tmp_path / "palette.png"))
    assert pixels[0, 0, 3] == 0
    assert pixels[1, 1].tolist() == [10, 20, 30, 255]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=100)
    red, green, blue = np.asarray(read_picture(tmp_path / "print.jpg"))[4, 4]
    assert red > 200 > 60 > max(green, blue)


def test_a_bilevel_picture_is_black_and_white(tmp_path: Path) -> None:
    Image.new("1", (4, 4), 1).save(tmp_path / "bits.png")
    assert (fit(read_picture(tmp_path / "bits.png"), (4, 4)) == 255).all()


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int, turns: int) -> None:
    stored = smooth(24, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "camera.png", exif=exif)
    assert (np.asarray(read_picture(tmp_path / "camera.png")) == np.rot90(stored, turns)).all()


# -- fitting -------------------------------------------------------------------------------------
def test_the_right_size_is_taken_byte_for_byte() -> None:
    assert (fit(Image.fromarray(noise(112, 96)), (112, 96)) == noise(112, 96)).all()


def test_an_aligned_112_crop_loses_eight_columns_on_each_side_and_nothing_else() -> None:
    assert (fit(Image.fromarray(noise(112, 112)), (112, 96)) == noise(112, 112)[:, 8:104]).all()


def test_grey_is_repeated() -> None:
    pixels = fit(Image.fromarray(noise(112, 96)[..., 0]), (112, 96))
    assert is_grey(pixels)
    assert (pixels[..., 1] == noise(112, 96)[..., 0]).all()


def test_transparent_pixels_become_black() -> None:
    picture = Image.new("RGBA", (8, 8), (200, 100, 50, 0))
    assert (fit(picture, (8, 8)) == 0).all()


@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)), asked=st.tuples(st.integers(1, 130), st.integers(1, 130))
)
def test_any_size_fits_and_a_flat_colour_stays_flat(size: tuple[int, int], asked: tuple[int, int]) -> None:
    pixels = fit(Image.new("RGB", size, (12, 130, 251)), asked)
    assert pixels.shape == (*asked, 3)
    assert (pixels == (12, 130, 251)).all()


def test_resizing_keeps_the_aspect_and_the_centre() -> None:
    y, x = np.mgrid[:448, :768]
    disc = ((y - 223.5) ** 2 + (x - 383.5) ** 2 < 100**2).astype(np.uint8) * 255
    small = fit(Image.fromarray(disc), (112, 96))[..., 0] > 127
    rows, columns = np.flatnonzero(small.any(1)), np.flatnonzero(small.any(0))
    assert abs(len(rows) - 50) <= 1
    assert abs(len(columns) - 50) <= 1
    assert rows[0] + rows[-1] == 111
    assert columns[0] + columns[-1] == 95


# -- tensors and luminance -----------------------------------------------------------------------
def test_every_level_maps_to_its_place_in_minus_one_to_one() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    tensor = to_tensor(images)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.min() == -1
    assert tensor.max() == 1
    assert np.abs(tensor[0, 2].flatten().numpy() - (np.arange(256) - 127.5) / 127.5).max() < 1e-7


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((2, 3, 8, 8), np.uint8)]
)
def test_anything_but_uint8_pictures_is_a_shape_error(wrong: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="uint8 of shape"):
        to_tensor(wrong)


@given(st.integers(0, 255))
def test_the_luminance_of_a_grey_is_that_grey(level: int) -> None:
    assert (luminance(np.full((2, 2, 3), level, np.uint8)) == level).all()


def test_luminance_agrees_with_pillow_to_one_level() -> None:
    theirs = np.asarray(Image.fromarray(noise(32, 32)).convert("L")).astype(int)
    assert np.abs(luminance(noise(32, 32))[..., 0].astype(int) - theirs).max() <= 1
