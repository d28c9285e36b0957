"""Pictures between the disk, the page and the model."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from occmask.app.pictures import MAX_BYTES, as_url, bytes_of_url, open_picture, pixels_of_url
from occmask.app.stage import EMPTY, opened, read_stage, stage_value
from occmask.errors import DataError
from occmask.images.pixels import Pixels

SIZE = (112, 96)


def encoded(pixels: Pixels, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def some_pixels(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_an_aligned_picture_is_taken_as_it_is() -> None:
    pixels = some_pixels(112, 96)
    found = open_picture(encoded(pixels), SIZE)
    assert (found.pixels == pixels).all()
    assert found.note == ""


def test_the_usual_112x112_crop_gives_its_middle_columns_without_a_note() -> None:
    pixels = some_pixels(112, 112)
    found = open_picture(encoded(pixels), SIZE)
    assert (found.pixels == pixels[:, 8:104]).all()
    assert found.note == ""


@pytest.mark.parametrize(
    ("height", "width", "said"), [(300, 600, "its sides"), (600, 300, "its top and bottom"), (224, 192, "Resized")]
)
def test_another_picture_is_cut_with_a_note_that_names_the_way_out(height: int, width: int, said: str) -> None:
    found = open_picture(encoded(some_pixels(height, width), "JPEG"), SIZE)
    assert found.pixels.shape == (*SIZE, 3)
    assert f"{width} x {height}" in found.note
    assert said in found.note
    assert "occmask align" in found.note
    assert ("cut off" in found.note) == ("its" in said)


def test_a_picture_goes_to_the_page_and_back_unchanged() -> None:
    pixels = some_pixels(*SIZE)
    assert (pixels_of_url(as_url(pixels), SIZE) == pixels).all()


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that claims many pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"not a picture", "not a picture"),
        (bomb(60_000, 60_000), "pixels"),
        (b"\xff" * (MAX_BYTES + 1), "5 MB"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    ],
)
def test_what_is_no_small_picture_is_refused_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_picture(data, SIZE)


@pytest.mark.parametrize(
    "url",
    [None, 3, "", "http://example.org/a.png", "file:///etc/passwd", "data:image/png,abc", "data:image/png;base64,@@@"],
)
def test_only_base64_data_addresses_are_read(url: object) -> None:
    with pytest.raises(DataError):
        bytes_of_url(url)


def test_an_address_longer_than_a_picture_may_be_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(DataError, match="5 MB"):
        bytes_of_url("data:image/png;base64," + "A" * (MAX_BYTES * 4 // 3 + 8))


def test_opening_answers_with_a_picture_or_with_one_line() -> None:
    good = opened({"name": "a.png", "url": as_url(some_pixels(200, 200))}, SIZE)
    assert (pixels_of_url(good["picture"], SIZE)).shape == (*SIZE, 3)
    assert "200 x 200" in good["note"]
    for sent in (None, {}, {"name": "a.png", "url": "data:image/png;base64,AAAA"}, {"name": "x" * 10_000, "url": 1}):
        said = opened(sent, SIZE)
        assert set(said) == {"error"}
        assert "\n" not in said["error"]
        assert len(said["error"]) < 250


def test_a_stage_without_a_picture_has_no_face_and_a_strange_one_is_refused() -> None:
    assert read_stage(dict(EMPTY), SIZE, name="face 1") is None
    face = read_stage(stage_value(some_pixels(*SIZE)), SIZE, name="face 1")
    assert face is not None
    assert face.covers == ()
    for value in (
        None,
        "x",
        {"picture": 5},
        stage_value(some_pixels(64, 64)),
        {**stage_value(face.pixels), "covers": 5},
    ):
        with pytest.raises(DataError):
            read_stage(value, SIZE, name="face 1")
