"""Calibrated scores: one threshold accepts as many impostors whatever the two faces show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import DataError, OptionError, ShapeError
from ..shapes import Template
from ..spec import Spec
from . import MATCHERS, Matcher, Prepared
from .checks import visible_of

_FALSE_ACCEPTS = 10  # fewer impostors than this in the tail make its level a matter of luck
_CLEAN_SHARE = 0.1  # of the pairs of clean faces show less than the share from which scores stay as they are


class Calibrated:
    """The score of another matcher, mapped so that impostors score alike at every visible share.

    Two faces that show little score high or low by chance: how impostors spread depends on the shared visible share
    s = v . v' / P.  At each s two levels of the impostors' scores are known, the middle and the tail; the map takes
    them to those of clean faces, along a straight line.  It increases with the score at every s, and where s is the
    last of `shares` or more it is the identity, so that thresholds on clean pairs keep their meaning.

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
        return self._map(scores, shared_share(a, b))

    def pairs(self, a: Prepared, b: Prepared) -> Tensor:  # (N,)
        scores = self.matcher.pairs(a, b)
        if a.visible is None or b.visible is None or not len(self.shares):
            return scores
        return self._map(scores, (a.visible * b.visible).mean(1))

    def _map(self, scores: Tensor, shared: Tensor) -> Tensor:
        middle, slope = (_interpolated(shared, self.shares, level) for level in (self.middles, self.slopes))
        mapped = (scores - middle) * slope + float(self.middles[-1])
        return torch.where(shared >= float(self.shares[-1]), scores, mapped)


def shared_share(a: Prepared, b: Prepared) -> Tensor:
    """How much of the face both show, for every pair: (A, B) in [0, 1], the mean of v v' over the places."""
    assert a.visible is not None
    assert b.visible is not None
    return (a.visible @ b.visible.T) / a.visible.shape[1]


def fit_score_calibration(
    template: Template,
    labels: Tensor,
    *,
    matcher: Spec | str = "fused",
    clean: Tensor | None = None,
    far: float = 1e-2,
    bins: int = 8,
) -> Spec:
    """The `calibrated` matcher as a Spec, from faces of which some are covered; pairs of two people are impostors.

    labels (B,): whole numbers, whose faces they are.  clean (B,) bool: which faces nothing covers; None: the tenth of
    the pairs that show most are taken for clean ones.  `far`: the false accept rate at which tails are made alike; it
    takes 10 / far impostor pairs in each of `bins` equally full bins of the visible share, and fewer bins are used
    where there are fewer pairs.  Fit on people that no figure is reported on.  Raises `OptionError`, `ShapeError`, and
    `DataError` for too few impostors.
    """
    shares, scores, both_clean = _impostors(template, labels, Spec.of(matcher), clean)
    if not 0 < far < 0.5:
        raise OptionError(f"far is a false accept rate in (0, 0.5), such as 1e-2, not {far!r}")
    if not isinstance(bins, int) or bins < 1:
        raise OptionError(f"bins is a positive whole number, not {bins!r}")
    least = math.ceil(_FALSE_ACCEPTS / far)
    if len(scores) < 2 * least or int(both_clean.sum()) < least:
        raise DataError(
            f"{len(scores)} impostor pairs, {int(both_clean.sum())} of them of two clean faces, do not show where "
            f"their tail lies at FAR {far:g}: {least} clean ones and as many others are needed; give more people, or "
            "a larger far"
        )
    first_clean = _quantile(shares[both_clean], _CLEAN_SHARE)
    covered = (shares < first_clean) & ~both_clean
    order = covered.nonzero()[:, 0][shares[covered].argsort()]
    parts = order.tensor_split(max(1, min(bins, len(order) // least)))
    knots = [_levels(shares[part], scores[part], far) for part in parts]
    _, middle, tail = _levels(shares[both_clean], scores[both_clean], far)
    knots.append((first_clean, middle, tail))
    levels = [[round(value, 6) for value in column] for column in zip(*knots, strict=True)]
    return Spec("calibrated", matcher=Spec.of(matcher), shares=levels[0], middles=levels[1], tails=levels[2])


def _impostors(
    template: Template, labels: Tensor, matcher: Spec, clean: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Of every pair of two people, once: the shared visible share, the score, and whether both faces are clean."""
    count = len(template.embedding)
    if template.parts is None or template.visible is None:
        raise ShapeError(
            "scores are calibrated by what is visible, and nobody looked at what is visible of these faces"
        )
    for name, given in (("labels", labels), ("clean", clean)):
        if given is not None and given.shape != (count,):
            raise ShapeError(f"{name} are ({count},), one a face, not {tuple(given.shape)}")
    plain = Calibrated(matcher=matcher)
    prepared = plain.prepare(template)
    first, second = torch.triu_indices(count, count, offset=1, device=template.embedding.device)
    apart = labels[first] != labels[second]
    first, second = first[apart], second[apart]
    scores = plain.scores(prepared, prepared)[first, second]
    shares = shared_share(prepared, prepared)[first, second]
    if clean is None:
        both_clean = shares >= _quantile(shares, 0.9) if len(shares) else shares > 1
    else:
        both_clean = clean[first].bool() & clean[second].bool()
    return shares, scores, both_clean


def _levels(shares: Tensor, scores: Tensor, far: float) -> tuple[float, float, float]:
    """Of one bin of impostors: the mean visible share, the middle of the scores, and where their tail begins."""
    return float(shares.mean()), _quantile(scores, 0.5), _quantile(scores, 1 - far)


def _quantile(x: Tensor, share: float) -> float:
    """torch.quantile takes 2^24 numbers at most."""
    ordered = x.double().sort().values
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return float(low + (high - low) * (place - math.floor(place)))


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
