"""Calibrated scores: one threshold holds its FAR at every visible share."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import occmask
from occmask import Spec, Template
from occmask.matching.calibration_fit import calibration_of, fit_score_calibration, impostor_scores

PARTS, WIDTH = 20, 6
FAR = 0.02
SHARES = (0.2, 0.5, 0.9)
CALIBRATION = Spec("calibrated", matcher="parts", shares=SHARES, middles=(0.3, 0.2, 0.1), tails=(0.9, 0.6, 0.4))


def people(count: int, *, visible: float, seed: int) -> Template:
    """Faces of as many people, of whose parts this share is visible: fewer parts, a wider spread of the impostors."""
    random = torch.Generator().manual_seed(seed)
    parts = torch.randn(count, PARTS, WIDTH, generator=random) + 0.5
    hidden = torch.rand(count, PARTS, generator=random).argsort(1) >= round(visible * PARTS)
    return Template(parts.sum(1), parts, 1 - 0.98 * hidden.float(), (5, 4))


def stacked(*templates: Template) -> Template:
    columns = [torch.cat(tensors) for tensors in list(zip(*templates, strict=True))[:3]]
    return Template(*columns, templates[0].grid)


def impostors(matcher: Spec | str, clean: Template, covered: Template) -> Tensor:
    """Scores of pairs of two people: row i is of person i in both."""
    scores = occmask.match(clean, covered, matcher=matcher)
    return scores[~torch.eye(len(scores), dtype=torch.bool)]


def fitted() -> Spec:
    sets = [people(150, visible=v, seed=i) for i, v in enumerate((1.0, 0.8, 0.6, 0.4, 0.25))]
    labels = torch.arange(150).repeat(5)  # a covered face is compared with other people's alone
    return fit_score_calibration(stacked(*sets), labels, matcher="parts", clean=torch.arange(750) < 150)


def far_factors(matcher: Spec | str) -> list[float]:
    """The FAR at a threshold that was set on clean pairs, over that of the clean pairs, for people not fitted on."""
    clean = people(300, visible=1.0, seed=100)
    threshold = impostors(matcher, clean, people(300, visible=1.0, seed=101)).quantile(1 - FAR)
    covered = [people(300, visible=v, seed=200 + i) for i, v in enumerate((0.8, 0.6, 0.4, 0.25))]
    return [float((impostors(matcher, clean, faces) > threshold).float().mean()) / FAR for faces in covered]


def test_one_threshold_holds_its_far_at_every_visible_share_and_did_not_before():
    before, after = far_factors("parts"), far_factors(fitted())
    assert max(before) > 3
    assert all(1 / 1.5 < factor < 1.5 for factor in after), after


def test_clean_pairs_keep_their_scores_bit_for_bit():
    clean = people(40, visible=1.0, seed=3)
    plain = occmask.match(clean, clean, matcher="parts")
    assert torch.equal(occmask.match(clean, clean, matcher=fitted()), plain)


def test_a_calibration_travels_in_json_and_scores_the_same():
    spec = fitted()
    again = Spec.of(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    faces = people(9, visible=0.4, seed=5)
    assert torch.equal(occmask.match(faces, faces, matcher=again), occmask.match(faces, faces, matcher=spec))


@given(st.floats(0, 1), st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=20, unique=True))
def test_the_map_increases_with_the_score_at_every_share(share, scores):
    matcher = occmask.MATCHERS.build(CALIBRATION)
    ordered = torch.tensor(sorted(scores), dtype=torch.float64)
    mapped = matcher._map(ordered, torch.full_like(ordered, share))
    assert (mapped.diff() > 0).all() or ordered.diff().min() < 1e-9
    if share >= SHARES[-1]:
        assert torch.equal(mapped, ordered)


@given(st.floats(0, 1))
def test_the_map_takes_the_levels_of_impostors_to_those_of_clean_faces(score):
    matcher = occmask.MATCHERS.build(CALIBRATION)
    for share, middle, tail in zip(SHARES, (0.3, 0.2, 0.1), (0.9, 0.6, 0.4), strict=True):
        at = middle + score * (tail - middle)
        mapped = matcher._map(torch.tensor([at], dtype=torch.float64), torch.tensor([share], dtype=torch.float64))
        assert float(mapped) == pytest.approx(0.1 + score * 0.3, abs=1e-9)


def test_the_map_has_no_jump_between_shares():
    matcher = occmask.MATCHERS.build(CALIBRATION)
    shares = torch.linspace(0, 1, 20001, dtype=torch.float64)
    mapped = matcher._map(torch.full_like(shares, 0.7), shares)
    assert mapped.diff().abs().max() < 1e-4


def test_row_by_row_gives_the_diagonal():
    spec = fitted()
    a, b = people(30, visible=0.5, seed=7), people(30, visible=0.7, seed=8)
    pairs = occmask.match_pairs(a, b, matcher=spec)
    torch.testing.assert_close(pairs, occmask.match(a, b, matcher=spec).diag())


@pytest.mark.parametrize("matcher", ["cosine", "visible_cosine", "joint", "parts", "fused"])
def test_any_matcher_can_be_calibrated_and_without_numbers_stays_as_it_is(matcher):
    faces = people(12, visible=0.4, seed=9)
    plain = occmask.match(faces, faces, matcher=matcher)
    assert torch.equal(occmask.match(faces, faces, matcher=Spec("calibrated", matcher=matcher)), plain)
    moved = occmask.match(faces, faces, matcher=CALIBRATION.replace(matcher=matcher))
    assert not torch.allclose(moved, plain)


def test_faces_of_which_nobody_knows_what_is_visible_are_scored_as_before():
    faces = Template(torch.eye(4))
    assert torch.equal(occmask.match(faces, faces, matcher=CALIBRATION), torch.eye(4))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"shares": (0.5,)}, "one length"),
        ({"shares": (0.5, 0.5), "middles": (0, 0), "tails": (1, 1)}, "ascend"),
        ({"shares": (0.5,), "middles": (0.2,), "tails": (0.2,)}, "above the middle"),
        ({"shares": (0.5,), "middles": (0.2,), "tails": (float("inf"),)}, "finite"),
    ],
)
def test_numbers_that_are_no_calibration_are_refused(options, told):
    with pytest.raises(occmask.OptionError, match=told):
        occmask.MATCHERS.build(Spec("calibrated", **options))


def test_impostors_of_several_recognisers_are_put_together():
    sets = [people(40, visible=v, seed=i) for i, v in enumerate((1.0, 0.5))]
    template, labels, clean = stacked(*sets), torch.arange(40).repeat(2), torch.arange(80) < 40
    alone = impostor_scores(template, labels, matcher="parts", clean=clean)
    assert len(alone.scores) == 80 * 79 / 2 - 40  # a face and the same person's covered one are no impostors
    assert int(alone.clean.sum()) == 40 * 39 / 2
    once = fit_score_calibration(template, labels, matcher="parts", clean=clean, bins=2)
    twice = calibration_of([alone, alone], matcher="parts", bins=2)
    for option in ("shares", "middles", "tails"):
        assert twice.options[option] == pytest.approx(once.options[option], abs=0.02)


@pytest.mark.parametrize("options", [{"tail": 0.5}, {"tail": 0}, {"bins": 0}])
def test_what_is_no_tail_and_no_number_of_bins_is_refused(options):
    faces = people(40, visible=0.5, seed=0)
    with pytest.raises(occmask.OptionError, match=next(iter(options))):
        fit_score_calibration(faces, torch.arange(40), **options)


def test_too_few_impostors_and_unknown_visibility_are_refused():
    few = people(6, visible=0.5, seed=1)
    with pytest.raises(occmask.DataError, match="larger tail"):
        fit_score_calibration(few, torch.arange(6), matcher="parts")
    with pytest.raises(occmask.ShapeError, match="nobody looked"):
        fit_score_calibration(few._replace(visible=None), torch.arange(6))
    with pytest.raises(occmask.ShapeError, match=r"labels are \(6,\)"):
        fit_score_calibration(few, torch.arange(5))
