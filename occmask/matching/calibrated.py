"""Calibrated scores: one threshold accepts as many impostors whatever the two faces show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import OptionError
from ..shapes import Template
from ..spec import Spec
from . import MATCHERS, Matcher, Prepared
from .checks import visible_of


class Calibrated:
    """The score of another matcher, mapped so that impostors score alike at every visible share.

    Two faces that show little score high or low by chance: how impostors spread depends on s, how much the two show
    together (`shown_together`).  At each s two levels of the impostors' scores are known, the middle and the tail; the
    map takes them to those of clean faces, along a straight line.  It increases with the score at every s, and where s
    is the last of `shares` or more it is the identity, so that thresholds on clean pairs keep their meaning.

    `matcher`: name or Spec of the other matcher.  `shares`: ascending values of s; `middles` and `tails`: the two
    levels at each, between which they are interpolated; below the first share they are those of the first.  The
    numbers come from `fit_score_calibration`; without any, scores stay as they are.
    """

    def __init__(
        self,
        *,
        matcher: Spec | str = "fused",
        shares: Sequence[float] = (),
        middles: Sequence[float] = (),
        tails: Sequence[float] = (),
    ):
        self.matcher: Matcher = MATCHERS.build(matcher)
        _check(shares, middles, tails)
        self.shares = torch.tensor(shares, dtype=torch.float64)
        self.middles = torch.tensor(middles, dtype=torch.float64)
        self.slopes = self.middles.new_ones(len(shares))
        if len(shares):
            spread = torch.tensor(tails, dtype=torch.float64) - self.middles
            self.slopes = spread[-1] / spread

    def prepare(self, template: Template) -> Prepared:
        prepared = self.matcher.prepare(template)
        if prepared.visible is not None or template.parts is None or template.visible is None:
            return prepared
        return prepared._replace(visible=visible_of(template, sharpness=1.0))

    def scores(self, a: Prepared, b: Prepared) -> Tensor:  # (A, B)
        scores = self.matcher.scores(a, b)
        if a.visible is None or b.visible is None or not len(self.shares):
            return scores
        return self._map(scores, shown_together(a, b))

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:  # (N,)
        scores = self.matcher.pairs(a, b)
        if a.visible is None or b.visible is None or not len(self.shares):
            return scores
        return self._map(scores, a.visible.mean(1) + b.visible.mean(1) - 1)

    def _map(self, scores: Tensor, shared: Tensor) -> Tensor:
        middle, slope = (_interpolated(shared, self.shares, level) for level in (self.middles, self.slopes))
        mapped = (scores - middle) * slope + float(self.middles[-1])
        return torch.where(shared >= float(self.shares[-1]), scores, mapped)


def shown_together(a: Prepared, b: Prepared) -> Tensor:
    """How much of the face the two of every pair show together: (A, B), the sum of their visible shares less 1.

    It is what both show if their covers do not overlap.  Where covers do overlap, both faces show more of the same and
    their covers look alike, and on validation people the two effects cancelled: this sum held a FAR better than v . v'.
    """
    assert a.visible is not None
    assert b.visible is not None
    return a.visible.mean(1)[:, None] + b.visible.mean(1) - 1


def _interpolated(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Values at x, on straight lines between ascending knots and level beyond them."""
    knots, values = knots.to(x), values.to(x)
    if len(knots) == 1:
        return values.expand_as(x)
    right = torch.bucketize(x, knots).clamp_(1, len(knots) - 1)
    left = right - 1
    along = ((x - knots[left]) / (knots[right] - knots[left])).clamp_(0, 1)
    return torch.lerp(values[left], values[right], along)


def _check(shares: Sequence[float], middles: Sequence[float], tails: Sequence[float]) -> None:
    if not len(shares) == len(middles) == len(tails):
        raise OptionError(
            f"matcher 'calibrated': shares, middles and tails are of one length, not {len(shares)}, {len(middles)} and "
            f"{len(tails)}"
        )
    if not all(math.isfinite(value) for value in (*shares, *middles, *tails)):
        raise OptionError("matcher 'calibrated': shares, middles and tails are finite numbers")
    if any(b <= a for a, b in pairwise(shares)):
        raise OptionError(f"matcher 'calibrated': shares ascend, and {tuple(shares)} do not")
    if any(tail <= middle for middle, tail in zip(middles, tails, strict=True)):
        raise OptionError("matcher 'calibrated': at every share the tail lies above the middle")
