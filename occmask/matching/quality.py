"""Quality: how much of a face there is to compare, known before it is compared with anybody."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ShapeError
from ..shapes import Template
from .checks import check_template


def part_energy(template: Template) -> Tensor:
    """How much each place of the face carries, from templates of many faces: (P,), summing to 1.

    The mean squared length of the part over the faces that show it.  Raises `ShapeError` for templates without parts.
    """
    check_template(template)
    if template.parts is None:
        raise ShapeError("these templates have no parts; model.template makes some with an embedding such as 'flat'")
    squares = template.parts.square().sum(2)  # (B, P)
    seen = torch.ones_like(squares) if template.visible is None else template.visible.to(squares)
    energy = (squares * seen).sum(0) / seen.sum(0).clamp_min(1e-6)
    total = energy.sum()
    return energy / total if total > 0 else torch.full_like(energy, 1 / max(1, len(energy)))


def usable_area(template: Template, *, energy: Tensor | None = None) -> Tensor:
    """The share of each face that can be compared: (B,) in [0, 1].

    The visible share of its places, each counting as much as it carries: `energy` (P,), as `part_energy` finds it over
    many faces; None: all alike.  1 where nobody looked.  Raises `ShapeError`.
    """
    check_template(template)
    if template.visible is None:
        return torch.ones_like(template.embedding[:, 0])
    visible = template.visible.to(template.embedding)
    if energy is None:
        return visible.mean(1)
    if energy.shape != visible.shape[1:] or not bool((energy >= 0).all()) or not bool(energy.sum() > 0):
        raise ShapeError(
            f"energy is one number of at least 0 for each of the {visible.shape[1]} parts, not all 0, and its shape is "
            f"{tuple(energy.shape)}"
        )
    weight = energy.to(visible)
    return (visible @ (weight / weight.sum())).clamp(0, 1)
