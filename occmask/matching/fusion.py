"""Fusion: several pictures of one person become one template, each place from the pictures that show it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..errors import ShapeError
from ..shapes import Template
from .checks import check_template
from .whole import FLOOR


def fuse_templates(template: Template, groups: ArrayLike | Tensor | Sequence[int]) -> Template:
    """One template a group, such as a person or a track in a video: (G, ...), in ascending order of the groups.

    groups (B,): whole numbers, those of `np.unique` one after another.  Each part is the mean of the pictures' parts,
    weighted by how visible it is in each; it is as visible as in the picture that shows it best.  The embedding is the
    sum of the parts, so that it, too, is made of what was seen; without parts it is the mean.  A group of one picture
    keeps that picture's template as it is.  Raises `ShapeError`.
    """
    check_template(template)
    labels = np.asarray(groups.detach().cpu() if isinstance(groups, Tensor) else groups)
    if labels.shape != (len(template.embedding),) or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"groups are {labels.shape} of {labels.dtype}; they must be ({len(template.embedding)},) whole numbers, "
            "one a picture"
        )
    _, first, place, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    group = torch.from_numpy(place.reshape(-1)).to(template.embedding.device)
    fused = _fuse(template, group, len(counts))
    alone = torch.from_numpy(counts == 1).to(group.device)
    if not bool(alone.any()):
        return fused
    own = torch.from_numpy(first).to(group.device)
    kept = [
        None if old is None or new is None else torch.where(alone.view(-1, *[1] * (new.ndim - 1)), old[own], new)
        for old, new in zip(template[:3], fused[:3], strict=True)
    ]
    assert kept[0] is not None
    return Template(kept[0], kept[1], kept[2], template.grid)


def _fuse(template: Template, group: Tensor, count: int) -> Template:
    embedding, parts, visible, grid = template
    if parts is None:
        return Template(_sums(embedding, group, count) / _sums(torch.ones_like(embedding[:, :1]), group, count))
    seen = torch.ones_like(parts[..., 0]) if visible is None else visible.to(parts)
    weight = seen + FLOOR  # a place that no picture shows is the plain mean of them
    total = _sums(weight, group, count)  # (G, P)
    mixed = _sums(parts * weight[..., None], group, count) / total[..., None]
    best = None
    if visible is not None:
        best = visible.new_zeros(count, visible.shape[1])
        best = best.scatter_reduce(0, group[:, None].expand_as(visible), visible, "amax", include_self=False)
    return Template(mixed.sum(1), mixed, best, grid)


def _sums(x: Tensor, group: Tensor, count: int) -> Tensor:
    """(B, ...) -> (G, ...)"""
    return x.new_zeros(count, *x.shape[1:]).index_add_(0, group, x)
