"""What a map of what is covered is worth: against sums done by hand, and against PyTorch's resizing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.evaluation.occupancy import OccupancyAccuracy, cell_means, mask_iou, stretched

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def covers(count: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = np.zeros((count, 56, 48), bool)
    for one in truth:
        top, left = rng.integers(0, 28), rng.integers(0, 24)
        one[top : top + 28, left : left + 24] = True
    return truth


def test_the_truth_itself_is_a_perfect_map() -> None:
    truth, people = covers(), np.array([0, 0, 1, 1, 2, 2])
    found = OccupancyAccuracy()(truth.astype(float), truth, people)
    assert found.cell_auc is not None
    assert tuple(found.cell_auc) == (1, 1, 1)
    assert tuple(found.pixel_iou) == (1, 1, 1)
    assert found.calibration_error == 0
    assert found.flagged.value == 1
    assert found.area.value == pytest.approx(truth.mean())


def test_a_map_that_knows_nothing_has_half_the_cell_auc_and_its_own_area() -> None:
    truth = covers()
    found = OccupancyAccuracy()(np.full((6, 14, 12), 0.7), truth, np.arange(6))
    assert found.cell_auc is not None
    assert found.cell_auc.value == 0.5
    assert found.area.value == 1
    assert found.pixel_iou.value == pytest.approx(truth.mean())
    assert found.calibration_error == pytest.approx(0.7 - truth.mean())


def test_clean_faces_have_no_cell_auc_and_are_flagged_by_one_cell() -> None:
    truth = np.zeros((4, 28, 24), bool)
    said = np.zeros((4, 7, 6))
    said[1, 3, 2] = 0.9
    found = OccupancyAccuracy(cells=(7, 6))(said, truth, np.array([0, 0, 1, 1]))
    assert found.cell_auc is None
    assert found.flagged.value == 0.25
    assert found.iou_each.tolist() == [1, 0, 1, 1]
    assert found.area.value == pytest.approx(stretched(said, (28, 24)).__ge__(0.5).mean())


def test_the_interval_is_over_people_and_not_over_pictures() -> None:
    truth = covers(8)
    said = truth.astype(float)
    said[:4] = 0  # of person 0 nothing is found
    few = OccupancyAccuracy()(said, truth, np.repeat([0, 1], 4)).pixel_iou
    many = OccupancyAccuracy()(said, truth, np.arange(8)).pixel_iou
    assert few.value == many.value == 0.5
    assert (few.low, few.high) == (0, 1)
    assert many.low > 0
    assert many.high < 1


@given(SIZES, SIZES, st.integers(0, 2**31))
def test_maps_are_stretched_as_pytorch_does(small: tuple[int, int], large: tuple[int, int], seed: int) -> None:
    maps = np.random.default_rng(seed).random((2, *small))
    theirs = torch.nn.functional.interpolate(torch.from_numpy(maps)[:, None], size=large, mode="bilinear")[:, 0]
    assert np.abs(stretched(maps, large) - theirs.numpy()).max() < 1e-9


@given(arrays(np.float64, (2, 12, 10), elements=st.floats(0, 1)), SIZES)
def test_cells_share_the_area_out(maps: np.ndarray, grid: tuple[int, int]) -> None:
    cells = cell_means(maps, grid)
    assert cells.shape == (2, *grid)
    assert cells.mean((1, 2)) == pytest.approx(maps.mean((1, 2)), abs=1e-12)
    whole = cell_means(maps, (3, 5))
    assert whole[0, 1, 2] == pytest.approx(maps[0, 4:8, 4:6].mean())


@given(arrays(bool, (3, 4, 5)), arrays(bool, (3, 4, 5)))
def test_the_iou_is_symmetric_and_one_for_the_same_set_only(a: np.ndarray, b: np.ndarray) -> None:
    iou = mask_iou(a, b)
    assert (iou == mask_iou(b, a)).all()
    assert ((iou == 1) == (a == b).all((1, 2))).all()
    assert ((iou >= 0) & (iou <= 1)).all()


def test_what_is_no_map_is_refused() -> None:
    measure, truth, people = OccupancyAccuracy(), covers(4), np.arange(4)
    with pytest.raises(ShapeError, match="bool"):
        measure(np.zeros((4, 7, 6)), truth.astype(float), people)
    with pytest.raises(ShapeError, match="for 4 faces"):
        measure(np.zeros((3, 7, 6)), truth, people)
    for wrong in (1.5, -0.1, np.nan):
        with pytest.raises(ProtocolError, match="map 2 holds what is no probability"):
            measure(np.where(np.arange(4) == 2, wrong, 0.5)[:, None, None] * np.ones((1, 7, 6)), truth, people)
    with pytest.raises(ProtocolError, match="two people"):
        measure(np.zeros((4, 7, 6)), truth, np.zeros(4, int))
    with pytest.raises(OptionError, match="cells"):
        OccupancyAccuracy(cells=(0, 6))
