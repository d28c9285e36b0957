"""Fitting of calibrated scores: how impostors score, by how much the two faces show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import DataError, OptionError, ShapeError
from ..shapes import Template
from ..spec import Spec
from .calibrated import Calibrated, shown_together

_FALSE_ACCEPTS = 10  # fewer impostors than this in the tail make its level a matter of luck
_CLEAN_SHARE = 0.1  # of the pairs of clean faces show less than the share from which scores stay as they are


class Impostors(NamedTuple):
    """Pairs of faces of two people: what a calibration is fitted to."""

    shares: Tensor  # (N,) how much the two show together
    scores: Tensor  # (N,)
    clean: Tensor  # (N,) bool, nothing covers either of them


def fit_score_calibration(
    template: Template,
    labels: Tensor,
    *,
    matcher: Spec | str = "fused",
    clean: Tensor | None = None,
    tail: float = 0.05,
    bins: int = 8,
) -> Spec:
    """The `calibrated` matcher as a Spec, from faces of which some are covered; pairs of two people are impostors.

    Fit on people whom the recogniser was not trained on: it keeps those apart whom it knows, clean ones best, and a
    calibration on them is far too strict on others.  labels (B,): whole numbers, whose faces they are.  clean (B,)
    bool: which faces nothing covers; None: the tenth of the pairs that show most are taken for clean ones.  `tail` and
    `bins`: as in `calibration_of`.  Raises `OptionError`, `ShapeError`, and `DataError` for too few impostors.
    """
    impostors = impostor_scores(template, labels, matcher=matcher, clean=clean)
    return calibration_of([impostors], matcher=matcher, tail=tail, bins=bins)


def impostor_scores(
    template: Template, labels: Tensor, *, matcher: Spec | str = "fused", clean: Tensor | None = None
) -> Impostors:
    """Every pair of two people, once.  Arguments and errors are those of `fit_score_calibration`."""
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
    shares = shown_together(prepared, prepared)[first, second]
    if clean is not None:
        both_clean = clean[first].bool() & clean[second].bool()
    else:
        both_clean = shares >= (_quantile(shares, 0.9) if len(shares) else 1.0)
    return Impostors(shares, scores, both_clean)


def calibration_of(
    impostors: Sequence[Impostors], *, matcher: Spec | str = "fused", tail: float = 0.05, bins: int = 8
) -> Spec:
    """The `calibrated` matcher as a Spec, from one set of impostors, or from several put together.

    Several are those of recognisers that were trained alike, each on other people, so that few people suffice for
    training and calibration: each gives the impostors among the people that it did not see.  `matcher`: the one that
    scored them.  `tail`: the share of the impostors that lie in the tail, in (0, 0.5); that of 5 % is less a matter of
    luck than the one at the FAR of interest.  It takes 10 / tail pairs in each of `bins` equally full bins, and fewer
    bins are used where there are fewer pairs.  Raises `OptionError` and `DataError`.
    """
    if not 0 < tail < 0.5:
        raise OptionError(f"tail is a share of the impostors in (0, 0.5), such as 0.05, not {tail!r}")
    if not isinstance(bins, int) or bins < 1:
        raise OptionError(f"bins is a positive whole number, not {bins!r}")
    shares, scores, clean = (torch.cat(column) for column in zip(*impostors, strict=True))
    least = math.ceil(_FALSE_ACCEPTS / tail)
    num_clean = int(clean.sum())
    if len(scores) - num_clean < least or num_clean < least:
        raise DataError(
            f"{num_clean} impostor pairs of clean faces and {len(scores) - num_clean} others do not show where their "
            f"tail of {tail:g} begins: {least} of each are needed; give more people or pictures, or a larger tail"
        )
    last = _quantile(shares[clean], _CLEAN_SHARE)
    covered = (shares < last) & ~clean
    order = covered.nonzero()[:, 0][shares[covered].argsort()]
    parts = order.tensor_split(max(1, min(bins, len(order) // least)))
    knots = [(float(shares[part].mean()), *_levels(scores[part], tail)) for part in parts if len(part)]
    knots.append((last, *_levels(scores[clean], tail)))
    levels = [[round(value, 6) for value in column] for column in zip(*knots, strict=True)]
    return Spec("calibrated", matcher=Spec.of(matcher), shares=levels[0], middles=levels[1], tails=levels[2])


def _levels(scores: Tensor, tail: float) -> tuple[float, float]:
    """The middle of the scores, and where their tail begins."""
    return _quantile(scores, 0.5), _quantile(scores, 1 - tail)


def _quantile(x: Tensor, share: float) -> float:
    """As torch.quantile, which takes 2^24 numbers at most."""
    ordered = x.double().sort().values
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return float(low + (high - low) * (place - math.floor(place)))
