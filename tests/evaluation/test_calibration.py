"""Probabilities against what came of them: bins, their error, and temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    expected_calibration_error,
    fit_class_temperature,
    fit_temperature,
    reliability,
    reliability_by_mass,
)

SHARES = st.floats(0, 1, width=32)
seeds = st.integers(0, 2**32 - 1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@st.composite
def forecasts(draw):
    count = draw(st.integers(1, 60))
    return tuple(draw(arrays.arrays(np.float64, count, elements=SHARES)) for _ in range(2))


@pytest.mark.parametrize("binned", [reliability, reliability_by_mass])
@given(forecast=forecasts(), bins=st.integers(1, 20), data=st.data())
def test_the_order_of_the_forecasts_does_not_matter(binned, forecast, bins, data):
    said, came = forecast
    order = data.draw(st.permutations(range(len(said))))
    one, other = binned(said, came, bins=bins), binned(said[order], came[order], bins=bins)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert one.ece == pytest.approx(other.ece, abs=1e-12)


@pytest.mark.parametrize("binned", [reliability, reliability_by_mass])
@given(forecast=forecasts(), bins=st.integers(1, 20))
def test_every_forecast_is_in_the_bin_whose_edges_enclose_it_and_means_are_kept(binned, forecast, bins):
    said, came = forecast
    found = binned(said, came, bins=bins)
    filled = found.number > 0
    assert found.number.sum() == len(said)
    assert (np.isnan(found.confidence) == ~filled).all()
    low, high = found.edges[:-1], found.edges[1:]
    assert (low[filled] <= found.confidence[filled] + 1e-12).all()
    assert (found.confidence[filled] <= high[filled] + 1e-12).all()
    for means, values in ((found.confidence, said), (found.observed, came)):
        assert (found.number[filled] * means[filled]).sum() == pytest.approx(values.sum())
    assert abs(said.mean() - came.mean()) - 1e-9 <= found.ece <= 1  # bins can only add to the error of the mean


@given(forecast=forecasts(), bins=st.integers(1, 20))
def test_exact_forecasts_have_no_error(forecast, bins):
    said, _ = forecast
    assert expected_calibration_error(said, said, bins=bins) == pytest.approx(0, abs=1e-12)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 50))
def test_one_forecast_for_all_is_wrong_by_its_distance_from_the_mean(said, came, count):
    for binned in (reliability, reliability_by_mass):
        assert binned(np.full(count, said), np.full(count, came)).ece == pytest.approx(abs(said - came), abs=1e-9)


@given(seeds)
def test_a_calibrated_source_has_an_error_near_zero_and_a_sharpened_one_has_not(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, 20_000)
    came = rng.random(20_000) < sigmoid(logits)
    for binned in (reliability, reliability_by_mass):
        assert binned(sigmoid(logits), came).ece < 0.02
        assert binned(sigmoid(3 * logits), came).ece > 0.05


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 8))
def test_bins_of_equal_mass_keep_ties_together_and_are_as_equal_as_ties_allow(levels, bins):
    said = np.array(levels) / 3
    found = reliability_by_mass(said, said, bins=bins)
    largest = max(np.count_nonzero(said == level) for level in said)
    assert found.number.max() <= -(-len(said) // bins) + 2 * largest
    assert (np.diff(found.edges) > 0).all()


def test_distinct_forecasts_fill_bins_of_equal_mass_equally():
    said = np.random.default_rng(0).permutation(60) / 61 + 0.001
    assert (reliability_by_mass(said, said, bins=15).number == 4).all()


@given(seeds, st.floats(0.2, 8))
def test_a_known_temperature_is_found_again(seed, temperature):
    logits = np.random.default_rng(seed).normal(0, 2, 500)
    # The outcome is the probability itself: then the least cross entropy lies at the truth exactly.
    assert fit_temperature(logits * temperature, sigmoid(logits)) == pytest.approx(temperature, rel=1e-6)


@given(seeds, st.floats(0.2, 8))
def test_a_known_class_temperature_is_found_again(seed, temperature):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (20_000, 4))
    chance = np.exp(logits)
    chance /= chance.sum(1, keepdims=True)
    label = (rng.random((len(chance), 1)) > chance.cumsum(1)).sum(1).clip(0, 3)
    assert fit_class_temperature(logits * temperature, label) == pytest.approx(temperature, rel=0.05)


@given(seeds, st.floats(0.1, 5), st.floats(-50, 50))
def test_two_classes_are_one_probability_and_only_differences_count(seed, scale, shift):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, 200)
    label = (rng.random(200) < sigmoid(logits / 2)).astype(int)
    two = np.stack([np.full(200, shift), logits + shift], axis=1)
    assert fit_class_temperature(two, label) == pytest.approx(fit_temperature(logits, label), rel=1e-6)


@given(seeds, st.floats(0.3, 6))
def test_no_other_temperature_has_a_smaller_cross_entropy(seed, other):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, 300)
    came = (rng.random(300) < sigmoid(logits / 1.7)).astype(float)

    def loss(temperature):
        return np.mean(np.logaddexp(0, logits / temperature) - came * logits / temperature)

    assert loss(fit_temperature(logits, came)) <= loss(other) + 1e-12


def test_logits_that_are_always_right_or_always_wrong_end_at_a_limit():
    logits = np.array([-2.0, -1, 1, 2])
    assert fit_temperature(logits, logits > 0) == pytest.approx(COLDEST)
    assert fit_temperature(logits, logits < 0) == pytest.approx(HOTTEST)
    assert fit_class_temperature(np.eye(3), [0, 1, 2]) == pytest.approx(COLDEST)
    assert fit_class_temperature(np.eye(3), [1, 2, 0]) == pytest.approx(HOTTEST)
    assert fit_temperature([0.0, 0.0], [0, 1]) == pytest.approx(HOTTEST)  # nothing depends on it


@given(seeds)
def test_huge_logits_do_no_harm(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, 100) * 1e6
    assert COLDEST - 1e-9 <= fit_temperature(logits, rng.random(100)) <= HOTTEST + 1e-9


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ShapeError, match="one belongs to each"):
        reliability([0.5], [0, 1])
    with pytest.raises(ProtocolError, match="probabilities lie in"):
        reliability([1.5], [1])
    with pytest.raises(ProtocolError, match="outcomes lie in"):
        reliability([0.5], [np.nan])
    with pytest.raises(ProtocolError, match="no outcome"):
        reliability_by_mass([], [])
    with pytest.raises(OptionError, match="bins"):
        expected_calibration_error([0.5], [1], bins=0)
    with pytest.raises(ProtocolError, match="finite"):
        fit_temperature([np.inf], [1])
    with pytest.raises(ShapeError, match="one belongs to each"):
        fit_temperature([1.0, 2.0], [1])
    with pytest.raises(ProtocolError, match=r"labels lie in 0\.\.1"):
        fit_class_temperature([[0.0, 1.0]], [2])
    with pytest.raises(ShapeError, match="whole numbers"):
        fit_class_temperature([[0.0, 1.0]], [0.5])
