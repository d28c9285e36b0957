import pytest

from occmask.report.results import area_of, condition_name, estimate, methods_of
from occmask.report.summary import headline_condition, summarise, verdict


def word(results, against="augmented", method="from"):
    return verdict(results, method, against=against, condition="area_40").word


def compare(results, low, high, *, method="from", against="augmented", **changes):
    entry = {"method": method, "against": against, "condition": "area_40", "metric": "rank1"}
    results["comparisons"] = [{**entry, "difference": {"value": (low + high) / 2, "low": low, "high": high}, **changes}]


def test_without_a_paired_comparison_overlapping_intervals_tie_and_separate_ones_do_not(results):
    assert word(results) == "ties"
    assert word(results, against="baseline") == "beats"
    assert word(results, method="baseline", against="from") == "loses to"
    assert "do not overlap" in verdict(results, "from", against="baseline", condition="area_40").reason


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.001, 0.03, "beats"), (-0.01, 0.03, "ties"), (-0.03, -0.001, "loses to"), (0, 0.03, "ties"), (0, 0, "ties")],
)
def test_a_paired_comparison_decides_when_there_is_one(results, low, high, expected):
    compare(results, low, high)
    assert word(results) == expected
    compare(results, -high, -low, method="augmented", against="from")  # the same, told the other way round
    assert word(results) == expected


def test_a_comparison_of_something_else_is_not_used(results):
    for change in ({"condition": "area_50"}, {"metric": "auc"}, {"against": "retrofit"}):
        compare(results, 0.01, 0.03, **change)
        assert word(results) == "ties"


def test_the_summary_tells_the_figures_and_how_they_compare(results):
    compare(results, -0.015, 0.035)
    first, second, third = summarise(results)
    assert first == (
        "At 40 % covered area FROM names 89.5 % of the faces, training on clean faces alone 51.5 %, "
        "the same occluded data without the mask branch 88.5 %."
    )
    assert second == (
        "FROM beats training on clean faces alone (the two 95 % intervals do not overlap) and ties the same occluded "
        "data without the mask branch (paired difference -1.5 to +3.5 points, 95 % interval, which includes zero)."
    )
    assert "mean IoU with the true one is 0.45 at 40 % area, and calls 48.9 % of the clean faces clean" in third


def test_a_loss_is_called_a_loss(results):
    compare(results, -0.05, -0.02)
    assert "loses to the same occluded data without the mask branch" in summarise(results)[1]


def test_the_frozen_pair_is_compared_with_each_other(make_results):
    sentences = summarise(make_results("retrofit", "frozen"))
    assert sentences[0].startswith("At 40 % covered area the occlusion head on a frozen trunk names 86.7 %")
    assert sentences[1].startswith("The occlusion head on a frozen trunk ties its control")


def test_what_was_not_measured_is_not_spoken_of(make_results, results):
    del results["methods"]["augmented"]
    assert not any("without the mask branch" in s for s in summarise(results))
    assert summarise(make_results("baseline")) == [
        "At 40 % covered area training on clean faces alone names 51.5 % of the faces."
    ]
    assert summarise({}) == ["No method was measured."]


def test_the_summary_speaks_of_40_percent_or_else_of_the_largest_area(results):
    assert headline_condition(results) == "area_40"
    for recipe in results["methods"].values():
        del recipe["identification"]["area_40"]
    assert headline_condition(results) == "area_50"
    for recipe in results["methods"].values():
        recipe["identification"] = {"clean": recipe["identification"]["clean"]}
    assert headline_condition(results) == "clean"
    assert summarise(results)[0].startswith("On clean faces FROM names 97.7 %")


def test_names_are_for_people():
    assert [condition_name(c) for c in ("clean", "area_05", "area_40", "mouth_mask")] == [
        "clean",
        "5 % area",
        "40 % area",
        "mouth mask",
    ]
    assert [area_of(c) for c in ("clean", "area_40", "scarf", "area_x")] == [0, 0.4, None, None]


def test_methods_come_in_their_usual_order_and_foreign_ones_last():
    assert methods_of({"methods": {"mine": {}, "from": {}, "baseline": {}}}) == ["baseline", "from", "mine"]


def test_a_figure_without_an_interval_is_its_own_interval():
    results = {"methods": {"from": {"identification": {"clean": {"rank1": {"value": 0.5}}}}}}
    assert estimate(results, "from", "identification", "clean", "rank1") == (0.5, 0.5, 0.5)
    assert estimate(results, "from", "identification", "scarf", "rank1") is None
    assert estimate(results, "mine", "identification", "clean", "rank1") is None
