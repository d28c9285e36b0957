"""Pattern labels against counting pixels one by one, and against the published formula over all patterns."""

from __future__ import annotations

import time
from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from occmask import OptionError, PatternGrid, ShapeError
from occmask.testing import strategies as some

FACE = (112, 96)
SMALL_SIZES = st.sampled_from([FACE, (112, 112), (7, 7), (13, 9), (8, 31)])


def published_patterns(grid: PatternGrid) -> list[tuple[int, int, int, int]]:
    """Pixel boxes by nested loops, in the published order; the first is "nothing"."""
    height, width = grid.image_size
    xs = [int(i * width / grid.k) for i in range(grid.k + 1)]
    ys = [int(i * height / grid.k) for i in range(grid.k + 1)]
    patterns = [(0, 0, 0, 0)]
    for top, left in product(range(grid.k), repeat=2):
        for bottom, right in product(range(top + 1, grid.k + 1), range(left + 1, grid.k + 1)):
            patterns.append((xs[left], ys[top], xs[right], ys[bottom]))
    return patterns


def published_label(grid: PatternGrid, box: np.ndarray) -> int:
    """The published score of every pattern, one box at a time, in plain Python floats."""
    height, width = grid.image_size
    x0, x1 = (min(max(float(x), 0.0), width) for x in box[::2])
    y0, y1 = (min(max(float(y), 0.0), height) for y in box[1::2])
    area = max(x1 - x0, 0.0) * max(y1 - y0, 0.0)
    scores = []
    for a, b, c, d in published_patterns(grid):
        inside = max(min(x1, c) - max(x0, a), 0.0) * max(min(y1, d) - max(y0, b), 0.0)
        scores.append(inside / (area + (c - a) * (d - b) - inside + 1e-10))
    return int(np.argmax(scores))


def counted_labels(grid: PatternGrid, maps: np.ndarray) -> np.ndarray:
    """Pixels in both and in either, counted on whole images: (N, H, W) -> (N,)."""
    drawn = painted_patterns(grid)
    flat = maps.reshape(len(maps), drawn.shape[1]).astype(np.float32)
    both = np.rint(flat @ drawn.T).astype(np.float64)  # below 2^24 pixels float32 counts exactly
    either = flat.sum(1, dtype=np.float64)[:, None] + drawn.sum(1, dtype=np.float64)[None] - both
    return (both / (either + 1e-10)).argmax(1)


@lru_cache(maxsize=16)
def painted_patterns(grid: PatternGrid) -> np.ndarray:
    """(P, H * W), 1 where the pattern covers the pixel."""
    return (
        painted(np.array(published_patterns(grid)), grid.image_size).reshape(grid.num_patterns, -1).astype(np.float32)
    )


def painted(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    maps = np.zeros((len(boxes), *image_size), bool)
    for image, (x0, y0, x1, y1) in zip(maps, boxes.clip(0), strict=True):
        image[y0:y1, x0:x1] = True
    return maps


@pytest.mark.parametrize("k", range(3, 8))
@given(boxes=some.boxes(FACE, most=32))
def test_labels_equal_a_count_of_pixels(k: int, boxes: np.ndarray) -> None:
    grid = PatternGrid(k)
    np.testing.assert_array_equal(grid.label(boxes), counted_labels(grid, painted(boxes, FACE)))


@pytest.mark.parametrize("k", range(3, 8))
def test_labels_equal_a_count_of_pixels_on_a_thousand_random_boxes(k: int) -> None:
    rng = np.random.default_rng(k)
    boxes = np.sort(rng.integers(-5, 118, (1000, 2, 2)), axis=1).reshape(-1, 4)
    grid = PatternGrid(k)
    np.testing.assert_array_equal(grid.label(boxes), counted_labels(grid, painted(boxes, FACE)))


@given(data=st.data(), k=st.integers(1, 7), size=SMALL_SIZES)
def test_labels_equal_the_published_formula_at_whole_and_broken_coordinates(data, k, size) -> None:
    grid = PatternGrid(k, size)
    boxes = data.draw(some.boxes(size, whole=data.draw(st.booleans()), most=4))
    assert grid.label(boxes).tolist() == [published_label(grid, box) for box in boxes]


@given(
    k=st.integers(1, 7), edges=st.tuples(*[st.integers(0, 28)] * 4), thickness=st.floats(0, 2e-3), upright=st.booleans()
)
@example(k=5, edges=(0, 3, 28, 3), thickness=1e-12, upright=False)
@example(k=5, edges=(0, 0, 28, 0), thickness=1e-300, upright=True)
def test_slivers_that_rounding_decides_are_labelled_as_published(k, edges, thickness, upright) -> None:
    """The thinner the box, the more patterns tie but for the last bits: also those far from its edges."""
    grid = PatternGrid(k)
    height, width = FACE
    x0, y0, x1, y1 = np.array(edges) / 28 * [width, height, width, height]
    box = (x0, y0, x0 + thickness, y1) if upright else (x0, y0, x1, y0 + thickness)
    assert grid.label([box]).tolist() == [published_label(grid, np.array(box))]


@pytest.mark.parametrize("k", range(1, 8))
def test_boxes_on_and_beside_grid_lines_are_labelled_as_published(k: int) -> None:
    """Where ties are: every edge on a line, a pixel off it, or half way between two."""
    grid = PatternGrid(k)
    rng = np.random.default_rng(k)
    lines = np.array([[i * size / k for size in (96, 112)] for i in range(k + 1)])
    corner = np.floor(lines[rng.integers(0, k + 1, (300, 2))[..., None], np.arange(2)])
    corner += rng.choice([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 48 / k], corner.shape)
    boxes = np.sort(corner, axis=1).reshape(-1, 4)
    assert grid.label(boxes).tolist() == [published_label(grid, box) for box in boxes]


def test_of_equal_iou_the_larger_union_wins_and_of_equal_unions_the_first_in_class_order() -> None:
    """Every box of whole pixels on a small image, ties found exactly by cross-multiplying integers."""
    grid = PatternGrid(4, (9, 13))
    patterns = np.array(published_patterns(grid))
    won_by_union = won_by_order = 0
    for x0, y0 in product(range(13), range(9)):
        for x1, y1 in product(range(x0 + 1, 14), range(y0 + 1, 10)):
            inside = np.minimum(patterns[:, 2:], [x1, y1]) - np.maximum(patterns[:, :2], [x0, y0])
            inside = inside.clip(0).prod(1)
            union = (x1 - x0) * (y1 - y0) + (patterns[:, 2:] - patterns[:, :2]).prod(1) - inside
            best = (inside / union).argmax()
            tied = np.flatnonzero(inside * union[best] == inside[best] * union)
            winner = tied[union[tied].argmax()]
            won_by_union += union[tied].min() < union[winner]
            won_by_order += (union[tied] == union[winner]).sum() > 1
            assert grid.label([[x0, y0, x1, y1]]).tolist() == [winner]
    assert won_by_union > 100
    assert won_by_order > 10


@given(data=st.data(), k=st.integers(1, 7), size=SMALL_SIZES)
def test_covered_maps_of_any_form_are_labelled_by_a_count_of_pixels(data, k, size) -> None:
    grid = PatternGrid(k, size)
    maps = data.draw(some.covered_maps(size))
    np.testing.assert_array_equal(grid.label_covered(maps), counted_labels(grid, maps))


@given(boxes=some.boxes(), grid=some.grids())
def test_a_rectangular_map_has_the_label_of_its_box(boxes: np.ndarray, grid: PatternGrid) -> None:
    np.testing.assert_array_equal(grid.label_covered(painted(boxes, FACE)), grid.label(boxes))


@given(data=st.data(), grid=some.grids(k=st.integers(1, 5)))
def test_mirroring_a_box_mirrors_its_score(data, grid: PatternGrid) -> None:
    """On a picture that K divides, the mirrored box's pattern scores what the mirrored pattern scores."""
    size = (grid.k * 12, grid.k * 10)
    grid = PatternGrid(grid.k, size)
    boxes = data.draw(some.boxes(size))
    mirrored = boxes.copy()
    mirrored[:, [0, 2]] = size[1] - boxes[:, [2, 0]]
    cells, mirrored_cells = grid.cells(grid.label(boxes)), grid.cells(grid.label(mirrored))[:, :, ::-1]
    # Where two patterns tie, class order is not symmetric; but then both cover as many cells.
    np.testing.assert_array_equal(cells.sum((1, 2)), mirrored_cells.sum((1, 2)))
    unique = np.array([_unrivalled(grid, box) for box in boxes], bool)
    np.testing.assert_array_equal(cells[unique], mirrored_cells[unique])


def _unrivalled(grid: PatternGrid, box: np.ndarray) -> bool:
    iou = counted_scores(grid, box)
    return bool(np.isclose(iou, iou.max(), rtol=1e-9, atol=0).sum() == 1)


def counted_scores(grid: PatternGrid, box: np.ndarray) -> np.ndarray:
    height, width = grid.image_size
    box = box.clip(0, [width, height, width, height]).astype(float)
    inside = (np.minimum(grid.boxes[:, 2:], box[2:]) - np.maximum(grid.boxes[:, :2], box[:2])).clip(0).prod(1)
    either = (box[2:] - box[:2]).clip(0).prod() + (grid.boxes[:, 2:] - grid.boxes[:, :2]).prod(1) - inside
    return inside / (either + 1e-10)


@given(boxes=some.boxes(whole=False), grid=some.grids())
def test_what_lies_outside_the_image_does_not_count(boxes: np.ndarray, grid: PatternGrid) -> None:
    np.testing.assert_array_equal(grid.label(boxes), grid.label(boxes.clip(0, [96, 112, 96, 112])))


@pytest.mark.parametrize(
    "box",
    [(0, 0, 0, 0), (5, 5, 5, 50), (50, 50, 40, 60), (96, 0, 120, 112), (-9, -9, 0, 112), (0, 112, 96, np.inf)],
)
def test_an_empty_box_and_one_outside_are_class_0(box: tuple[float, ...]) -> None:
    assert PatternGrid(5).label([box]).tolist() == [0]


@given(grid=some.grids(sizes=some.image_sizes(smallest=7)))
def test_every_pattern_is_its_own_best_label(grid: PatternGrid) -> None:
    everything = np.arange(grid.num_patterns)
    np.testing.assert_array_equal(grid.label(grid.boxes), everything)
    np.testing.assert_array_equal(grid.label_cells(grid.cells(everything)), everything)


@given(grid=some.grids(sizes=some.image_sizes(smallest=7)))
def test_patterns_stand_in_the_published_order(grid: PatternGrid) -> None:
    assert [tuple(box) for box in grid.boxes.tolist()] == published_patterns(grid)


@pytest.mark.parametrize(("k", "patterns"), [(1, 2), (2, 10), (3, 37), (4, 101), (5, 226), (6, 442), (7, 785)])
def test_the_number_of_patterns_is_the_papers(k: int, patterns: int) -> None:
    grid = PatternGrid(k)
    assert grid.num_patterns == len(grid.boxes) == patterns
    assert grid.counts.sum() == patterns - 1


def test_the_table_of_sizes_is_the_papers_figure_4() -> None:
    """Counted from the cells: entry (i, j) patterns of i x j cells; symmetric, 25 single cells and one whole face."""
    grid = PatternGrid(5)
    cells = grid.cells(np.arange(1, grid.num_patterns))
    counted = np.zeros((5, 5), int)
    np.add.at(counted, (cells.any(2).sum(1) - 1, cells.any(1).sum(1) - 1), 1)
    np.testing.assert_array_equal(grid.counts, counted)
    assert grid.counts[0, 0] == 25
    assert grid.counts[4, 4] == 1


@given(data=st.data(), grid=some.grids())
def test_cells_and_labels_are_inverse(data, grid: PatternGrid) -> None:
    label = data.draw(some.pattern_labels(grid))
    np.testing.assert_array_equal(grid.label_cells(grid.cells(label)), label)


@given(grid=some.grids(k=st.integers(1, 4), sizes=SMALL_SIZES))
def test_the_iou_table_counts_pixels(grid: PatternGrid) -> None:
    table = grid.iou_table()
    drawn = painted(grid.boxes, grid.image_size).reshape(grid.num_patterns, -1).astype(float)
    both = drawn @ drawn.T
    either = drawn.sum(1)[:, None] + drawn.sum(1) - both
    either[0, 0] = both[0, 0] = 1
    np.testing.assert_allclose(table, both / either, rtol=1e-14)


def test_equal_grids_are_equal_and_their_tables_are_nobodys_to_change() -> None:
    grid = PatternGrid(4)
    assert grid == PatternGrid(np.int64(4), [112, 96])
    assert hash(grid) == hash(PatternGrid(4))
    assert grid not in {PatternGrid(5), PatternGrid(4, (112, 112))}
    with pytest.raises(ValueError, match="read-only"):
        grid.boxes[0] = 1


@pytest.mark.parametrize(
    ("broken", "error", "hint"),
    [
        (lambda: PatternGrid(0), OptionError, "from 1 to 96"),
        (lambda: PatternGrid(97), OptionError, "from 1 to 96"),
        (lambda: PatternGrid(2.5), OptionError, "whole number"),
        (lambda: PatternGrid(True), OptionError, "whole number"),
        (lambda: PatternGrid(3, (112,)), OptionError, r"\(height, width\)"),
        (lambda: PatternGrid(3, (0, 96)), OptionError, r"\(height, width\)"),
        (lambda: PatternGrid(3, 112), OptionError, r"\(height, width\)"),
        (lambda: PatternGrid(5).label([1, 2, 3, 4]), ShapeError, r"\(N, 4\)"),
        (lambda: PatternGrid(5).label([["a"] * 4]), ShapeError, "numbers"),
        (lambda: PatternGrid(5).label([[0, 0, 1, 1], [0, np.nan, 1, 1]]), ShapeError, "box 1 holds NaN"),
        (lambda: PatternGrid(5).label_covered(np.zeros((1, 96, 112), bool)), ShapeError, r"\(N, 112, 96\)"),
        (lambda: PatternGrid(5).label_covered(np.zeros((1, 112, 96))), ShapeError, "booleans"),
        (lambda: PatternGrid(5).cells([226]), ShapeError, r"0 \.\. 225"),
        (lambda: PatternGrid(5).cells([-1]), ShapeError, r"0 \.\. 225"),
        (lambda: PatternGrid(5).cells([1.0]), ShapeError, "whole numbers"),
        (lambda: PatternGrid(2).label_cells([[[True, False], [False, True]]]), ShapeError, "label_covered"),
        (lambda: PatternGrid(3).label_cells([[[True, False, True]] * 3]), ShapeError, "no rectangle"),
        (lambda: PatternGrid(3).label_cells(np.ones((1, 2, 2), bool)), ShapeError, r"\(N, 3, 3\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_works(broken, error, hint) -> None:
    with pytest.raises(error, match=hint):
        broken()


def hundred_thousand_boxes() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.sort(rng.integers(-10, 122, (100_000, 2, 2)), axis=1).reshape(-1, 4)


def test_a_hundred_thousand_boxes_take_less_than_a_second() -> None:
    grid, boxes = PatternGrid(5), hundred_thousand_boxes()
    taken = []
    for _ in range(3):
        start = time.process_time()
        grid.label(boxes)
        taken.append(time.process_time() - start)
    assert min(taken) < 1.0


def test_the_speed_of_labelling(benchmark) -> None:
    pytest.importorskip("pytest_benchmark")
    grid, boxes = PatternGrid(5), hundred_thousand_boxes()
    label = benchmark.pedantic(grid.label, (boxes,), rounds=3)
    assert len(np.unique(label)) > 200
