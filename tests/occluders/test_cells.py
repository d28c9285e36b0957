"""Covering exactly one cell of the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask.occluders.occlude import Occlusions


@given(st.integers(1, 7), st.integers(0, 2**31))
def test_one_cell_and_nothing_else_is_covered(k, seed):
    occlusion = Occlusions(("rectangle",), occmask.PLACEMENTS.build(occmask.Spec("cell", k=k)), share=1)
    face = occlusion(np.zeros((112, 96, 3), np.uint8), np.random.default_rng(seed))
    grid = occmask.PatternGrid(k)
    label = grid.label((face.box * [96, 112, 96, 112])[None])
    assert grid.cells(label).sum() == 1
    assert np.allclose(grid.boxes[label[0]], np.rint(face.box * [96, 112, 96, 112]))
    assert face.covered.sum() == np.diff(grid.boxes[label[0]].reshape(2, 2), axis=0).prod()


def test_every_cell_gets_its_turn():
    occlusion = Occlusions(("rectangle",), occmask.PLACEMENTS.build("cell"), share=1)
    rng = np.random.default_rng(0)
    boxes = {tuple(occlusion(np.zeros((112, 96, 3), np.uint8), rng).box) for _ in range(400)}
    assert len(boxes) == 25


def test_an_occluder_without_a_rectangle_cannot_fill_a_cell():
    with pytest.raises(occmask.OptionError, match="fills a rectangle"):
        Occlusions(("cup",), occmask.PLACEMENTS.build("cell"))
