"""Every margin against its formula, its slope against the analytic one, and its edges."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import occmask
from occmask.margins.functions import ArcFace, Combined, CosFace, NormalisedSoftmax, SphereFace

FORMULAS: dict[str, tuple[Combined, float, Callable[[float], float]]] = {
    "cosface": (CosFace(), 30.0, lambda t: math.cos(t) - 0.35),
    "arcface": (ArcFace(), 64.0, lambda t: math.cos(t + 0.5)),
    "sphereface": (SphereFace(), 64.0, lambda t: math.cos(1.5 * t)),
    "combined": (Combined(), 64.0, lambda t: math.cos(t + 0.3) - 0.2),
    "combined, all three": (Combined(m1=1.2, m2=0.1, m3=0.05), 64.0, lambda t: math.cos(1.2 * t + 0.1) - 0.05),
    "softmax": (NormalisedSoftmax(), 30.0, math.cos),
}
angular = [name for name, (margin, _, _) in FORMULAS.items() if margin.m1 != 1 or margin.m2 != 0]
angles = st.floats(0.01, math.pi - 0.01)


def phi(margin: Combined, cosine: Tensor) -> Tensor:
    return margin(cosine, torch.ones_like(cosine))


def slope(margin: Combined, cosine: Tensor) -> Tensor:
    cosine = cosine.detach().requires_grad_()
    return torch.autograd.grad(phi(margin, cosine).sum(), cosine)[0]


@pytest.mark.parametrize("name", FORMULAS)
@settings(deadline=None)
@given(theta=angles)
def test_phi_is_the_published_formula(name, theta):
    margin, scale, formula = FORMULAS[name]
    cosine = torch.tensor([math.cos(theta)], dtype=torch.float64)
    assert phi(margin, cosine).item() == pytest.approx(formula(theta), abs=1e-12)
    assert margin.default_scale == scale


@pytest.mark.parametrize("name", FORMULAS)
@settings(deadline=None)
@given(theta=angles)
def test_the_exact_slope_is_m1_sin_of_the_new_angle_over_sin_of_the_old(name, theta):
    margin, _, _ = FORMULAS[name]
    expected = margin.m1 * math.sin(margin.m1 * theta + margin.m2) / math.sin(theta)
    found = slope(margin, torch.tensor([math.cos(theta)], dtype=torch.float64))
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("factory", [ArcFace, SphereFace, Combined])
def test_straight_through_has_the_value_of_phi_and_slope_one(factory):
    cosine = torch.linspace(-1, 1, 101, dtype=torch.float64)
    margin = factory(gradient="straight_through")
    assert torch.equal(phi(margin, cosine), phi(factory(), cosine))
    assert torch.equal(slope(margin, cosine), torch.ones_like(cosine))
    assert not torch.allclose(slope(factory(), cosine), torch.ones_like(cosine), atol=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_slopes_are_finite_at_and_past_the_ends(name, dtype):
    margin, _, formula = FORMULAS[name]
    past = torch.tensor(1, dtype=dtype) + torch.finfo(dtype).eps  # rounding makes such cosines
    ends = torch.stack([past, torch.tensor(1, dtype=dtype), torch.tensor(-1, dtype=dtype), -past])
    values = phi(margin, ends)
    assert values.dtype == dtype
    expected = torch.tensor([formula(0), formula(0), formula(math.pi), formula(math.pi)], dtype=dtype)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-3)
    assert slope(margin, ends).isfinite().all()
    near = torch.tensor([1 - 1e-7, 1 - 2e-7, -1 + 1e-7], dtype=dtype)
    assert slope(margin, near).abs().max() < 1e4


def test_without_an_angular_part_the_cosine_is_not_clamped():
    ends = torch.tensor([-1.0, 1.0])
    assert torch.equal(phi(NormalisedSoftmax(), ends), ends)
    assert torch.equal(slope(CosFace(), ends), torch.ones(2))


@settings(deadline=None)
@given(m1=st.floats(0.5, 5), m2=st.floats(0, 3), m3=st.floats(-1, 1))
def test_the_guarded_phi_always_falls_with_the_angle(m1, m2, m3):
    cosine = torch.cos(torch.linspace(0, math.pi, 2001, dtype=torch.float64))
    guarded = phi(Combined(m1=m1, m2=m2, m3=m3, monotone=True), cosine)
    assert (guarded.diff() <= 1e-9).all()
    steps = guarded.diff().abs()
    assert steps.max() < 0.02  # and without a jump: 2000 steps, slope at most m1


def test_the_guard_changes_nothing_before_the_turn_and_no_margin_is_guarded_unasked():
    cosine = torch.cos(torch.linspace(0, math.pi, 101, dtype=torch.float64))
    before = torch.acos(cosine) + 0.5 < math.pi
    raw, guarded = phi(ArcFace(), cosine), phi(ArcFace(monotone=True), cosine)
    assert torch.equal(raw[before], guarded[before])
    assert (guarded[~before] < raw[~before]).all()
    assert (raw[~before].diff() > 0).all()


@pytest.mark.parametrize("gradient", ["exact", "straight_through"])
@pytest.mark.parametrize("monotone", [False, True])
@pytest.mark.parametrize("name", ["arcface", "sphereface"])
def test_special_cases_are_the_combined_form(name, gradient, monotone):
    options = {"gradient": gradient, "monotone": monotone}
    cosine = torch.linspace(-1, 1, 51, dtype=torch.float64)
    special = {"arcface": ArcFace(margin=0.4, **options), "sphereface": SphereFace(margin=1.35, **options)}[name]
    general = {
        "arcface": Combined(m1=1, m2=0.4, m3=0, **options),
        "sphereface": Combined(m1=1.35, m2=0, m3=0, **options),
    }
    assert torch.equal(phi(special, cosine), phi(general[name], cosine))
    assert torch.equal(slope(special, cosine), slope(general[name], cosine))


@pytest.mark.parametrize("name", angular)
def test_gradcheck_away_from_the_ends(name):
    cosine = torch.linspace(-0.95, 0.95, 9, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: phi(FORMULAS[name][0], c), cosine)


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        (CosFace, {"margin": "big"}, "'margin' is a finite number"),
        (CosFace, {"margin": True}, "'margin'"),
        (ArcFace, {"margin": math.inf}, "'margin'"),
        (SphereFace, {"margin": math.nan}, "'margin'"),
        (SphereFace, {"margin": 0}, "'margin' multiplies the angle"),
        (Combined, {"m1": -1}, "'m1' multiplies the angle"),
        (Combined, {"m2": None}, "'m2' is a finite number"),
        (Combined, {"m3": "x"}, "'m3' is a finite number"),
        (ArcFace, {"gradient": "insightface"}, "'gradient' is 'exact' or 'straight_through', not 'insightface'"),
        (SphereFace, {"monotone": "yes"}, "'monotone' is True or False"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(factory, options, message):
    with pytest.raises(occmask.OptionError, match=message):
        factory(**options)
