import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occmask.errors import DataError, ShapeError
from occmask.report import draw_face, draw_occlusions
from occmask.report.figures import ORANGE, TEAL


def pixels(image):
    return np.asarray(image).astype(int)


def is_orange(rgb):
    return (rgb[..., 0] > rgb[..., 1] + 20) & (rgb[..., 1] > rgb[..., 2] + 20)


def is_exactly(rgb, colour):
    return (rgb == np.array(colour)).all(axis=-1)


def test_orange_lies_exactly_on_the_cells_believed_covered(make_picture):
    drawn = pixels(draw_face(make_picture(box=None, true_box=None)))
    expected = np.zeros((336, 288), bool)
    expected[252:, 216:] = True
    np.testing.assert_array_equal(is_orange(drawn), expected)
    assert (drawn[~expected] == 120).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.data())
def test_every_cell_of_any_grid_is_tinted_where_the_grid_lines_say(make_picture, k, data):
    likely = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.49, 0.5, 1.0]), min_size=k * k, max_size=k * k)))
    cells = likely.reshape(k, k)
    orange = is_orange(pixels(draw_face(make_picture(cells=cells, box=None, true_box=None), scale=1)))
    rows, columns = (np.array([max(i for i in range(k) if i * n // k <= p) for p in range(n)]) for n in (112, 96))
    np.testing.assert_array_equal(orange, (cells >= 0.5)[rows][:, columns])


def test_with_a_box_its_cells_are_the_answer_whatever_the_others_say(make_picture):
    cells = np.full((4, 4), 0.9)
    drawn = is_orange(pixels(draw_face(make_picture(cells=cells, box=np.array([0, 0.5, 0.5, 1]), true_box=None))))
    expected = np.zeros((336, 288), bool)
    expected[168:, :144] = True
    np.testing.assert_array_equal(drawn, expected)


def test_the_surer_the_model_the_stronger_the_tint(make_picture):
    strengths = []
    for sure in (0.0, 0.49, 0.5, 0.75, 1.0):
        drawn = pixels(draw_face(make_picture(cells=np.full((1, 1), sure), box=None, true_box=None)))
        strengths.append(drawn[5, 5, 0] - drawn[5, 5, 2])
    assert strengths[:2] == [0, 0]
    assert 0 < strengths[2] < strengths[3] < strengths[4]
    assert strengths[4] < 0.8 * (ORANGE[0] - ORANGE[2])  # the face still shows through


def test_the_true_box_is_outlined_in_teal_along_its_edges(make_picture):
    drawn = is_exactly(pixels(draw_face(make_picture())), TEAL)
    edge = np.zeros((336, 288), bool)
    edge[84:168, 72:144] = True
    edge[87:165, 75:141] = False
    np.testing.assert_array_equal(drawn, edge)


def test_the_predicted_box_is_a_thin_orange_line(make_picture):
    picture = make_picture(cells=np.zeros((4, 4)), box=np.array([0.75, 0.75, 1, 1]), true_box=None)
    drawn = is_exactly(pixels(draw_face(picture)), ORANGE)
    assert drawn[252, 216:].all()
    assert drawn[252:, 287].all()
    assert drawn.sum() == 2 * 72 + 2 * 84 - 4


@pytest.mark.parametrize("empty", [np.zeros(4), np.array([0.5, 0.5, 0.5, 0.9]), None])
def test_an_empty_box_draws_nothing(make_picture, empty):
    drawn = pixels(draw_face(make_picture(cells=np.zeros((4, 4)), box=empty, true_box=empty)))
    assert (drawn == 120).all()


def test_drawing_leaves_the_picture_as_it_was(make_picture):
    picture = make_picture()
    before = picture.image.copy()
    draw_face(picture)
    np.testing.assert_array_equal(picture.image, before)


def test_a_sheet_shows_every_face_as_given_and_answered_and_its_caption(make_picture):
    shades = [45, 85, 165, 205, 225]  # no shade of the captions' letters is likely to equal them often
    sheet = pixels(draw_occlusions([make_picture(image=np.full((112, 96, 3), s, np.uint8)) for s in shades], columns=3))
    for shade in shades:
        given, answered = 224 * 192, 224 * 192 * 15 / 16 - 5 * (2 * 56 + 2 * 48)  # less the covered cell, the true box
        assert given + answered < is_exactly(sheet, (shade,) * 3).sum() < 2 * given
    assert is_exactly(sheet, TEAL).sum() > 5 * 2 * (56 + 48)
    bare = pixels(draw_occlusions([make_picture(title="", subtitle="")], legend=False))
    captioned = pixels(draw_occlusions([make_picture()], legend=False))
    assert bare.shape == captioned.shape
    assert (bare != captioned).any(axis=-1).sum() > 200


def test_a_title_and_the_legend_are_drawn_above_the_faces(make_picture):
    plain, legend, titled = (
        pixels(draw_occlusions([make_picture()] * 6, legend=legend, title=title))
        for legend, title in ((False, ""), (True, ""), (True, "What is covered?"))
    )
    assert plain.shape[0] < legend.shape[0] < titled.shape[0]
    assert is_orange(legend[:80]).sum() > 500
    assert is_exactly(legend[:80], TEAL).any()


def test_a_long_caption_stays_within_its_column(make_picture):
    short, long = (pixels(draw_occlusions([make_picture(title=t)] * 2, legend=False)) for t in ("a", "a very " * 30))
    between_columns = slice(40 + 192 + 14, 40 + 192 + 24)
    assert (long[-100:, between_columns] == 255).all()
    assert (short != long).any()


def test_an_empty_sheet_is_refused():
    with pytest.raises(DataError, match="at least one"):
        draw_occlusions([])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((112, 96), np.uint8)}, r"\(H, W, 3\) uint8"),
        ({"image": np.zeros((112, 96, 3))}, "float64"),
        ({"cells": np.zeros((4, 5))}, r"\(K, K\)"),
        ({"box": np.zeros(3)}, "^box is"),
        ({"true_box": np.zeros((1, 4))}, "true_box is"),
    ],
)
def test_wrong_shapes_are_named(make_picture, changes, message):
    with pytest.raises(ShapeError, match=message):
        make_picture(**changes)
