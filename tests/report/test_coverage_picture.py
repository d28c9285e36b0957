"""Faces with their coverage drawn on them, and reliability diagrams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occmask.errors import DataError, ShapeError
from occmask.evaluation.calibration import reliability
from occmask.report import (
    CoveragePicture,
    ReliabilityPanel,
    draw_coverage,
    draw_coverage_sheet,
    draw_reliability,
)
from occmask.report.coverage_picture import draw_map
from occmask.report.figures import ORANGE


def picture(coverage, *, box=(0, 0, 0, 0), **changes):
    settings = {
        "image": np.full((112, 96, 3), (160, 120, 90), np.uint8),
        "coverage": np.asarray(coverage, float),
        "box": np.array(box, float),
        "covered": 0.9,
        "regions": {"eyes": 0.2, "mouth": 0.8},
        "title": "somebody",
    }
    return CoveragePicture(**{**settings, **changes})


def colourful(image):
    rgb = np.asarray(image).astype(int)
    return np.ptp(rgb, axis=-1) > 2


def test_without_coverage_the_face_is_grey_and_nothing_is_drawn():
    drawn = draw_map(picture(np.zeros((28, 24))))
    assert not colourful(drawn).any()
    assert len(np.unique(np.asarray(drawn))) == 1


@settings(max_examples=20)
@given(st.integers(1, 28), st.integers(1, 24), st.data())
def test_colour_lies_on_the_covered_places_of_any_grid_and_nowhere_else(rows, columns, data):
    places = np.zeros((rows, columns), bool)
    for _ in range(data.draw(st.integers(0, 4))):
        places[data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))] = True
    drawn = colourful(draw_map(picture(0.4 * places), scale=2))  # below a half: no line, tint alone
    y, x = np.mgrid[:224, :192]
    true = places[(y + 0.5).astype(int) * rows // 224, (x + 0.5).astype(int) * columns // 192]
    assert (drawn != true).mean() < 0.03  # edges between pixels


def test_the_surer_the_stronger_and_the_face_shows_through():
    strength = []
    for sure in (0.0, 0.1, 0.3, 0.45):
        rgb = np.asarray(draw_map(picture(np.full((4, 4), sure)))).astype(int)[50, 50]
        strength.append(rgb[0] - rgb[2])
    assert strength == sorted(set(strength))
    faces = [picture(np.ones((4, 4)), image=np.full((112, 96, 3), grey, np.uint8)) for grey in (40, 220)]
    dark, light = (np.asarray(draw_map(face)).astype(int)[100, 100] for face in faces)
    assert (light - dark > 20).all()


def test_a_line_goes_around_what_is_covered_by_half_or_more():
    coverage = np.zeros((4, 4))
    coverage[1:3, 1:3] = 0.6
    drawn = np.asarray(draw_map(picture(coverage), scale=2))
    white = (drawn == 255).all(-1)
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    assert abs(rows[0] - 56) <= 1 >= abs(rows[-1] - 168)
    assert abs(columns[0] - 48) <= 1 >= abs(columns[-1] - 144)
    assert not white[70:150, 60:130].any()


def test_the_rectangle_is_where_the_box_says():
    drawn = np.asarray(draw_map(picture(np.zeros((4, 4)), box=(0.25, 0.5, 0.75, 1)), scale=2))
    orange = (drawn == np.array(ORANGE)).all(-1)
    rows, columns = np.flatnonzero(orange.any(1)), np.flatnonzero(orange.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (112, 223, 48, 143)


def test_the_large_picture_shows_the_face_as_given_and_a_longer_bar_for_more_coverage():
    given_face = picture(np.zeros((4, 4)))
    sheet = np.asarray(draw_coverage(given_face)).astype(int)
    assert (sheet[100, 100] == (160, 120, 90)).all()
    orange = (sheet == np.array(ORANGE)).all(-1)
    lengths = [int(row.sum()) for row in orange if row.sum() > 20]
    assert max(lengths) == pytest.approx(4 * min(lengths), abs=4)  # 80 % and 20 %
    assert picture(np.zeros((2, 2))).hidden == ("mouth",)


def test_a_sheet_holds_every_face_and_long_names_fit():
    many = [picture(np.zeros((4, 4)), title=f"a/very/long/path/to/a/folder/of/faces/{i}.png") for i in range(7)]
    sheet = np.asarray(draw_coverage_sheet(many, columns=3, title="seven faces"))
    faces = (sheet == (160, 120, 90)).all(-1)
    assert faces.sum() == 7 * 224 * 192
    with pytest.raises(DataError, match="no pictures"):
        draw_coverage_sheet([])


def test_wrong_numbers_are_refused():
    with pytest.raises(ShapeError, match="box"):
        picture(np.zeros((2, 2)), box=(0, 1))
    with pytest.raises(ShapeError, match="coverage"):
        picture(np.zeros(3))
    with pytest.raises(ShapeError, match="image"):
        picture(np.zeros((2, 2)), image=np.zeros((3, 3, 3)))


def test_a_diagram_has_a_line_that_lies_where_the_bins_do():
    said = np.linspace(0.01, 0.99, 200)
    exact, sure = reliability(said, said), reliability(said, said**3)
    one = np.asarray(draw_reliability([ReliabilityPanel("cells", {"before": sure, "after": exact})], note="a note"))
    blue = (np.abs(one.astype(int) - (0, 114, 178)).sum(-1) < 30) & (np.mgrid[: one.shape[0], : one.shape[1]][0] > 110)
    y, x = np.nonzero(blue[:500])
    assert len(x) > 500
    slope = np.polyfit(x, y, 1)[0]
    assert slope == pytest.approx(-1, abs=0.05)
    two = draw_reliability([ReliabilityPanel("a", {"x": exact}), ReliabilityPanel("b", {"x": sure})])
    assert two.width == 2 * one.shape[1]
    with pytest.raises(DataError, match="no reliability"):
        draw_reliability([])
