import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import DataError
from occmask.evaluation.metrics import Estimate
from occmask.report import Series, curves_of, draw_curves
from occmask.report.curves import DARK, LIGHT, line_colour, spread

SIZE = (640, 420)


def near(image, colour, reach=12):
    return (np.abs(np.asarray(image).astype(int) - np.array(colour)) <= reach).all(axis=-1)


def flat(method, value):
    return Series(method, (0.0, 0.5), (Estimate(value, value - 0.1, value + 0.05),) * 2)


def test_curves_are_rank1_on_clean_and_on_every_area_in_order(make_results):
    results = make_results("from", "baseline")
    results["conditions"] = ["scarf", "area_50", "clean"]
    series = curves_of(results)
    assert [s.method for s in series] == ["baseline", "from"]
    assert series[0].area == (0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert [e.value for e in series[0].rank1] == [0.972, 0.925, 0.837, 0.66, 0.515, 0.327]
    assert series[0].rank1[4] == pytest.approx((0.515, 0.475, 0.555))


def test_a_missing_condition_is_a_missing_point_not_a_zero(make_results):
    results = make_results("baseline", "from")
    del results["methods"]["from"]["identification"]["area_30"]
    results["methods"]["baseline"]["identification"]["area_10"]["rank1"]["value"] = None
    baseline, ours = curves_of(results)
    assert ours.area == (0, 0.1, 0.2, 0.4, 0.5)
    assert baseline.area == (0, 0.2, 0.3, 0.4, 0.5)


@pytest.mark.parametrize("dark", [False, True])
def test_every_method_has_a_line_of_its_own_colour_on_its_own_paper(make_results, dark):
    image = draw_curves(curves_of(make_results("baseline", "augmented", "from")), size=SIZE, dark=dark)
    assert image.size == SIZE
    theme = DARK if dark else LIGHT
    assert image.getpixel((SIZE[0] - 1, 1)) == theme.paper
    for index, method in enumerate(("baseline", "augmented", "from")):
        assert near(image, line_colour(method, index, dark=dark)).sum() > 250


def test_a_better_method_is_drawn_higher_and_a_worse_one_lower_at_true_scale():
    heights = {}
    for value in (0.9, 0.7, 0.5):
        image = draw_curves([flat("from", value), flat("baseline", 0.5)], size=SIZE)
        rows = near(image, line_colour("from", 0))[:, 150:250].sum(axis=1)
        heights[value] = rows.argmax() if rows.any() else None
    bottom = draw_curves([flat("from", 0.5)], size=SIZE)
    assert heights[0.9] < heights[0.7]
    assert near(bottom, line_colour("from", 0)).any()
    # the axis starts at 40 %, so 90 % is a sixth of its height below the top
    top, low = 72, SIZE[1] - 96
    assert heights[0.9] == pytest.approx(low - (0.9 - 0.4) / 0.6 * (low - top), abs=4)
    assert heights[0.7] == pytest.approx(low - (0.7 - 0.4) / 0.6 * (low - top), abs=4)


def test_a_wider_interval_is_a_wider_band():
    areas = []
    for width in (0.02, 0.2):
        series = Series("from", (0.0, 0.5), (Estimate(0.7, 0.7 - width, 0.7 + width), Estimate(0.7, 0.5, 0.9)))
        image = np.asarray(draw_curves([series], size=SIZE)).astype(int)
        areas.append((image[..., 0] - image[..., 2] > 8).sum())
    assert areas[1] > 1.2 * areas[0]


def test_one_condition_alone_is_drawn_too():
    image = draw_curves([Series("from", (0.0,), (Estimate(0.9, 0.8, 0.95),))], size=SIZE)
    assert near(image, line_colour("from", 0)).sum() > 50


def test_no_curve_is_refused():
    for series in ([], [Series("from", (), ())]):
        with pytest.raises(DataError, match="no curve"):
            draw_curves(series)


def test_lines_can_be_told_apart_from_each_other_and_from_the_paper():
    for theme in (LIGHT, DARK):
        colours = np.array([theme.paper, *theme.lines], float)
        apart = np.abs(colours[:, None] - colours[None]).sum(axis=-1)
        assert apart[~np.eye(len(colours), dtype=bool)].min() > 90


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_names_never_overlap_never_swap_and_stay_on_the_page(wanted):
    placed = spread(wanted, gap=10, low=0, high=100)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(np.array(placed)[order]) > 10 - 1e-6).all()
    assert min(placed) > -1e-6
    assert max(placed) < 100 + 1e-6


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6, unique=True))
def test_names_that_fit_stay_where_they_are(wanted):
    apart = np.sort(wanted) + 10 * np.arange(len(wanted))
    np.testing.assert_allclose(spread(apart.tolist(), gap=10, low=0, high=200), apart)


def test_tied_names_move_apart_evenly():
    assert spread([50, 50, 90], gap=10, low=0, high=100) == [45, 55, 90]
