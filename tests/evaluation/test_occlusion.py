import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import ProtocolError, ShapeError
from occmask.evaluation.occlusion import OcclusionAccuracy, box_iou, is_empty

boxes = st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=1, max_size=6)


def pixels(box):
    x0, y0, x1, y1 = box
    y, x = np.mgrid[:6, :6]
    return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)


@given(boxes, st.data())
def test_box_iou_is_the_iou_of_the_pixels(first, data):
    second = data.draw(st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=len(first), max_size=len(first)))
    for a, b, iou in zip(first, second, box_iou(first, second), strict=True):
        union = (pixels(a) | pixels(b)).sum()
        assert iou == pytest.approx((pixels(a) & pixels(b)).sum() / union if union else 1.0)


@given(boxes)
def test_the_unit_of_the_boxes_does_not_matter(first):
    second = [(0, 1, 4, 5)] * len(first)
    scale = np.array([96, 112, 96, 112])
    np.testing.assert_allclose(box_iou(first, second), box_iou(first / scale, second / scale))


def test_on_clean_faces_the_iou_is_the_share_answered_clean():
    predicted = np.array([[0, 0, 0, 0], [0.1, 0.1, 0.4, 0.5], [0, 0, 0, 0], [0, 0, 0, 0]])
    result = OcclusionAccuracy(resamples=50)(predicted, np.zeros((4, 4)), [0, 0, 1, 2])
    assert result.iou == result.answered_clean
    assert result.iou.value == 0.75
    assert result.iou.low <= 0.75 <= result.iou.high
    assert list(is_empty(predicted)) == [True, False, True, True]


def test_saying_clean_of_a_covered_face_scores_nothing():
    result = OcclusionAccuracy()(np.zeros((3, 4)), np.tile([0.2, 0.2, 0.6, 0.6], (3, 1)), [0, 1, 2])
    assert (result.iou, result.answered_clean) == ((0, 0, 0), (1, 1, 1))


def test_wrong_boxes_are_refused():
    with pytest.raises(ShapeError, match="x0 y0 x1 y1"):
        box_iou(np.zeros(4), np.zeros(4))
    with pytest.raises(ShapeError, match="row by row"):
        box_iou(np.zeros((2, 4)), np.zeros((3, 4)))
    with pytest.raises(ProtocolError, match="box 1 holds NaN"):
        box_iou(np.array([[0, 0, 1, 1], [0, np.nan, 1, 1]]), np.zeros((2, 4)))
    with pytest.raises(ShapeError, match="face labels"):
        OcclusionAccuracy()(np.zeros((2, 4)), np.zeros((2, 4)), [0])
