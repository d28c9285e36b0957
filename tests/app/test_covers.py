"""Covers on the page: what is seen there is what the model is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.app.covers import KINDS, MOST_COVERS, Cover, cover_pixels, put_covers, read_covers, seated
from occmask.errors import DataError, UnknownNameError
from occmask.images.pixels import Pixels, is_grey

SHARES = st.floats(-1, 2)
SIDES = st.floats(0.05, 2)
COVERS = st.builds(Cover, st.sampled_from(list(KINDS)), SHARES, SHARES, SIDES, SIDES)


@pytest.fixture
def face(faces: list[Pixels]) -> Pixels:
    return faces[0]


def test_a_box_covers_its_own_pixels_and_no_others(face: Pixels) -> None:
    put = put_covers(face, [Cover("box", 0.25, 0.5, 0.5, 0.25)])
    assert put.covered[56:84, 24:72].all()
    assert put.covered.sum() == 28 * 48
    assert (put.image[~put.covered] == face[~put.covered]).all()
    assert (put.image[put.covered] == put.image[60, 40]).all()


@given(covers=st.lists(COVERS, max_size=4))
def test_what_is_not_covered_stays_the_face_but_for_a_soft_edge(covers: list[Cover]) -> None:
    face = np.full((112, 96, 3), (200, 150, 120), np.uint8)
    put = put_covers(face, covers)
    assert put.image.shape == face.shape
    assert (face == (200, 150, 120)).all()
    if not covers:
        assert (put.image == face).all()
    x0, y0, x1, y1 = put.box
    assert put.covered.any() == (x1 > x0 and y1 > y0)


def test_two_covers_hide_what_either_hides(face: Pixels) -> None:
    one, two = Cover("oval", 0.1, 0.1, 0.4, 0.3), Cover("mask", 0.0, 0.5, 1.0, 0.4)
    both = put_covers(face, [one, two]).covered
    assert (both == put_covers(face, [one]).covered | put_covers(face, [two]).covered).all()


def test_on_a_grey_picture_the_cover_is_grey(face: Pixels) -> None:
    grey = np.repeat(face[..., :1], 3, axis=2)
    pattern = seated("pattern", (112, 96))
    assert is_grey(put_covers(grey, [pattern]).image)
    assert not is_grey(put_covers(face, [pattern]).image)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_sits_before_the_face_and_is_drawn_the_same_each_time(kind: str) -> None:
    covered = put_covers(np.zeros((112, 96, 3), np.uint8), [seated(kind, (112, 96))]).covered.mean()
    assert 0.03 < covered < 0.7
    first = cover_pixels(kind).copy()
    cover_pixels.cache_clear()
    assert (cover_pixels(kind) == first).all()


def test_in_a_wider_picture_a_cover_has_the_same_size_on_the_face() -> None:
    narrow, wide = seated("sunglasses", (112, 96)), seated("sunglasses", (112, 112))
    assert wide.width * 112 == pytest.approx(narrow.width * 96)
    assert wide.x * 112 - 8 == pytest.approx(narrow.x * 96)


@given(covers=st.lists(COVERS, max_size=MOST_COVERS))
def test_what_the_page_sends_is_read_back(covers: list[Cover]) -> None:
    assert read_covers([cover._asdict() for cover in covers]) == tuple(covers)


GOOD = {"kind": "box", "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}


@pytest.mark.parametrize(
    "said",
    [
        None,
        "box",
        [1],
        [{**GOOD, "kind": "tank"}],
        [{**GOOD, "kind": ["box"]}],
        [{**GOOD, "x": float("nan")}],
        [{**GOOD, "x": float("inf")}],
        [{**GOOD, "y": "0.1"}],
        [{**GOOD, "y": True}],
        [{**GOOD, "width": 1e9}],
        [{**GOOD, "height": 0.0}],
        [{**GOOD, "width": -0.5}],
        [GOOD] * (MOST_COVERS + 1),
    ],
)
def test_what_the_page_would_never_send_is_refused(said: object) -> None:
    with pytest.raises(DataError):
        read_covers(said)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnknownNameError, match="mask"):
        cover_pixels("msk")
