"""Coverage maps: where each pixel of a face is covered, as logits on a grid of any size.

What a restorer and a refiner say about a face has this one form, whatever they are made of, so its loss and its answer
to a person stand here once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import DataError, OptionError, ShapeError
from .shapes import OcclusionAnswer, OcclusionTruth

LIKELIEST = 0.01  # share of the places that say whether anything is covered; at least one


def coverage_target(truth: OcclusionTruth, size: tuple[int, int]) -> Tensor:
    """The covered share of each cell of a (height, width) grid: (B, 1, height, width) float in [0, 1].

    Needs `truth.covered`, which occmask's own data always has; `DataError` without it.
    """
    if truth.covered is None:
        raise DataError("a coverage map is learnt from truth.covered (B, H, W), and this truth holds boxes only")
    return F.adaptive_avg_pool2d(truth.covered[:, None].float(), size)


def coverage_loss(coverage: Tensor, truth: OcclusionTruth) -> Tensor:
    """Mean binary cross entropy of logits (B, 1, h, w) with the covered share of each cell: a scalar."""
    _check(coverage)
    target = coverage_target(truth, (coverage.shape[2], coverage.shape[3]))
    return F.binary_cross_entropy_with_logits(coverage, target.to(coverage))


def answer_from_coverage(coverage: Tensor, *, k: int = 5) -> OcclusionAnswer:
    """What a person wants to know, from logits (B, 1, h, w) of "this place is covered".

    `coverage` of the answer is the probability of each place.  A cell of the K x K grid is as probably covered as its
    places are on average; the box runs around the places of at least a half.  That anything is covered is as probable
    as it is of the likeliest `LIKELIEST` of the places, on average: one place alone is too easily wrong, and a whole
    cell misses what is small (docs/occlusion.md has the figures).  Raises `ShapeError`.
    """
    _check(coverage)
    if k < 1:
        raise OptionError(f"an answer has at least one cell a side, not k={k!r}")
    probability = coverage.sigmoid()
    cells = F.adaptive_avg_pool2d(probability, (k, k))[:, 0]
    box = _box_around(probability[:, 0] >= 0.5).to(probability)
    places = probability.flatten(1)
    likeliest = places.topk(max(1, round(LIKELIEST * places.shape[1])), dim=1).values
    return OcclusionAnswer(cells, box, likeliest.mean(1), probability[:, 0])


def _box_around(places: Tensor) -> Tensor:
    """(B, h, w) bool -> (B, 4) x0 y0 x1 y1 over w h w h; zeros where no place is True."""
    sides = []
    for along in (1, 2):  # the columns that hold one, then the rows
        hit = places.any(along)
        count = hit.shape[1]
        place = torch.arange(count, device=places.device)
        first = torch.where(hit, place, count).amin(1)
        last = torch.where(hit, place + 1, 0).amax(1)
        sides.append((torch.minimum(first, last) / count, last / count))
    (x0, x1), (y0, y1) = sides
    return torch.stack([x0, y0, x1, y1], dim=1)


def _check(coverage: Tensor) -> None:
    if coverage.ndim != 4 or coverage.shape[1] != 1:
        raise ShapeError(f"a coverage map is logits (B, 1, h, w), not {tuple(coverage.shape)}")
