"""The strategies draw what they promise, and drawn shapes fit the library."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from occmask import HEADS, FaceShapes, OcclusionTruth, PatternGrid, Spec
from occmask.testing import strategies as some


@given(data=st.data(), size=some.image_sizes())
def test_boxes_are_in_order_and_near_the_image(data: st.DataObject, size: tuple[int, int]) -> None:
    height, width = size
    boxes = data.draw(some.boxes(size, whole=data.draw(st.booleans()), overhang=3))
    assert boxes.shape[1] == 4
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
    assert (boxes >= -3).all()
    assert (boxes <= np.array([width, height, width, height]) + 3).all()


@pytest.mark.parametrize(
    "sought",
    [
        lambda x0, y0, x1, y1: x0 == x1 and y0 < y1,
        lambda x0, y0, x1, y1: x0 < x1 <= 0 and y0 < y1,
        lambda x0, y0, x1, y1: x0 < 96 < x1 and y0 < 112 < y1,
    ],
    ids=["empty", "outside", "over the edge"],
)
def test_boxes_are_sometimes_out_of_the_ordinary(sought: Callable[..., bool]) -> None:
    quick = settings(max_examples=2000, database=None, phases=[Phase.generate])
    find(some.boxes(most=4), lambda boxes: any(sought(*box) for box in boxes.tolist()), settings=quick)


@given(truth=some.occlusion_truths(image_size=(14, 12)))
def test_a_truths_box_bounds_its_covered_pixels_exactly(truth: OcclusionTruth) -> None:
    assert truth.covered is not None
    boxes = np.rint(truth.box.numpy() * [12, 14, 12, 14]).astype(int)
    for (x0, y0, x1, y1), covered in zip(boxes, truth.covered.numpy(), strict=True):
        assert covered.sum() == covered[y0:y1, x0:x1].sum()
        if covered.any():
            inside = covered[y0:y1, x0:x1]
            assert inside.any(0)[[0, -1]].all()
            assert inside.any(1)[[0, -1]].all()
        else:
            assert (x0, y0, x1, y1) == (0, 0, 0, 0)


@given(data=st.data(), grid=some.grids())
def test_labels_are_patterns_of_their_grid(data: st.DataObject, grid: PatternGrid) -> None:
    label = data.draw(some.pattern_labels(grid))
    assert grid.boxes[label].shape == (len(label), 4)
    assert (label >= 0).all()


@settings(max_examples=10)
@given(data=st.data(), shapes=some.face_shapes(), decoder=st.sampled_from(["full", "spatial", "vector", "deep"]))
def test_froms_head_fits_every_drawn_face(data: st.DataObject, shapes: FaceShapes, decoder: str) -> None:
    k = min(2, shapes.image.height, shapes.image.width)
    spec = Spec("from", width=4, mask_decoder=decoder, pattern_predictor=Spec("classification", k=k))
    head = HEADS.build(spec, shapes).eval()
    maps = [data.draw(some.feature_maps(shape)) for shape in shapes.maps]
    size = (shapes.image.height, shapes.image.width)
    batch = data.draw(some.face_batches(image_size=size))
    occlusion = head(maps)
    assert torch.isfinite(head.loss(occlusion, batch.truth))
    assert head.answer(occlusion.pattern).cells.shape == (2, k, k)
    assert batch.image.abs().max() <= 1
