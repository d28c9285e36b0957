"""What the matchers share: templates that fit each other, and what is visible of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ShapeError
from ..shapes import Template
from . import Prepared


def check_template(template: Template) -> None:
    """Raise `ShapeError` for a template whose tensors do not belong together."""
    embedding, parts, visible, grid = template
    if embedding.ndim != 2:
        raise ShapeError(f"a template's embedding is (B, D), not {tuple(embedding.shape)}")
    if parts is not None and (parts.ndim != 3 or parts.shape[::2] != embedding.shape):
        raise ShapeError(
            f"a template's parts are (B, P, D), with the B and D of its embedding {tuple(embedding.shape)}, not "
            f"{tuple(parts.shape)}"
        )
    if visible is not None and (parts is None or visible.shape != parts.shape[:2]):
        raise ShapeError(f"what is visible of a template is (B, P), one number a part, not {tuple(visible.shape)}")
    if grid is not None and parts is not None and grid[0] * grid[1] != parts.shape[1]:
        raise ShapeError(f"a grid of {grid[0]} x {grid[1]} places is no grid of {parts.shape[1]} parts")


def check_alike(a: Prepared, b: Prepared, *, row_by_row: bool) -> None:
    """Raise `ShapeError` for templates that cannot be compared, such as those of two models."""
    if a.unit.shape[1] != b.unit.shape[1]:
        raise ShapeError(
            f"embeddings of {a.unit.shape[1]} and of {b.unit.shape[1]} numbers cannot be compared; make both with one "
            "model"
        )
    if a.parts is not None and b.parts is not None and a.parts.shape[1] != b.parts.shape[1]:
        raise ShapeError(
            f"templates of {a.parts.shape[1]} and of {b.parts.shape[1]} parts cannot be compared; make both with one "
            "model"
        )
    if row_by_row and len(a.unit) != len(b.unit):
        raise ShapeError(f"there are {len(a.unit)} and {len(b.unit)} faces; they are compared row by row")


def unit(x: Tensor) -> Tensor:
    """Rows of length 1; a row of zeros stays one."""
    return F.normalize(x, dim=-1)


def visible_of(template: Template, *, sharpness: float) -> Tensor:
    """(B, P) how much each part counts; all the same where nobody looked.

    `sharpness` s takes v to v^s / (v^s + (1 - v)^s): above 1 it makes up its mind, at 1 it leaves v as it is.
    """
    assert template.parts is not None
    if template.visible is None:
        return torch.ones_like(template.parts[..., 0])
    visible = template.visible.to(template.parts)
    if sharpness == 1:
        return visible
    seen, hidden = visible**sharpness, (1 - visible) ** sharpness
    return seen / (seen + hidden)
