"""The chart of error against reject."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import occmask
from occmask.evaluation.rejection import rejection_curve
from occmask.report.rejection_chart import rejection_chart

SCORES = np.array([0.1, 0.2, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9])
GOOD = rejection_curve(SCORES, SCORES, threshold=0.5)
BLIND = rejection_curve(SCORES, np.ones(8), threshold=0.5)


def lines(chart: str) -> list[np.ndarray]:
    """The points of each line, (N, 2), as drawn."""
    paths = re.findall(r'<path class="line c\d" d="M([^"]*)"', chart)
    return [np.array([point.split() for point in path.split("L")], float) for path in paths]


def test_a_good_score_falls_and_a_blind_one_stays_level():
    good, blind = lines(rejection_chart({"visible area": GOOD, "none": BLIND}))
    assert np.ptp(blind[:, 1]) == 0
    assert good[0, 1] == blind[0, 1]
    assert (np.diff(good[:, 1]) >= 0).all()  # down is more in a picture
    assert good[-1, 1] > blind[-1, 1] + 50


def test_the_key_and_the_words_say_what_is_gained():
    chart = rejection_chart({"visible <area>": GOOD})
    assert "visible &lt;area&gt;: 100 % of the ideal gain" in chart
    assert "from 25.0 to 0.0 %" in chart


def test_the_figure_is_well_formed():
    figure = ElementTree.fromstring(rejection_chart({"a": GOOD, "b": BLIND}, up_to=0.3))
    assert figure.find("svg") is not None


@pytest.mark.parametrize("curves", [{}, {str(i): GOOD for i in range(5)}])
def test_too_many_curves_and_none_are_refused(curves):
    with pytest.raises(occmask.DataError, match="can be told apart"):
        rejection_chart(curves)


def test_curves_of_other_comparisons_are_refused():
    other = rejection_curve(SCORES, SCORES, threshold=0.15)
    with pytest.raises(occmask.DataError, match="same comparisons"):
        rejection_chart({"a": GOOD, "b": other})


def test_without_errors_there_is_a_chart_too():
    assert "<svg" in rejection_chart({"a": rejection_curve(SCORES, SCORES, threshold=0.0)})
