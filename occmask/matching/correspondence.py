"""Soft correspondence: parts that are compared with their neighbours too, for faces that are not quite aligned."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from ..errors import OptionError, ShapeError
from ..shapes import Template

_FARTHEST = 3.0  # standard deviations beyond which a neighbour counts for nothing
_NOTHING = 1e-4  # of a place's visible share
LARGEST_SPREAD = 8.0  # in places: every grid is one place by then


def spread_parts(template: Template, *, spread: float) -> Template:
    """The template with each part mixed with its neighbours on the grid, by a Gaussian of `spread` places.

    A part's new value is the mean of those around it, weighted by the Gaussian and by how visible each is; how visible
    it is, the Gaussian's mean of their visibility.  So what is covered does not leak into what is seen.  The embedding
    stays as it is, and the parts no longer sum to it.  0, or a template without parts, changes nothing.  Raises
    `OptionError` for the spread and `ShapeError` for parts of an unknown grid.
    """
    if isinstance(spread, bool) or not isinstance(spread, (int, float)) or not 0 <= spread <= LARGEST_SPREAD:
        raise OptionError(f"spread is in places of the grid and lies in [0, {LARGEST_SPREAD:g}], not {spread!r}")
    parts, visible, grid = template.parts, template.visible, template.grid
    if parts is None or spread == 0:
        return template
    if grid is None or grid[0] * grid[1] != parts.shape[1]:
        raise ShapeError(
            f"parts are mixed with their neighbours, and nothing says on which grid these {parts.shape[1]} lie; give "
            "the template a grid, (rows, columns)"
        )
    mix = _gaussian(grid, float(spread)).to(parts)  # (P, P), rows sum to 1
    if visible is None:
        return template._replace(parts=mix @ parts)
    seen = visible.to(parts)
    share = seen @ mix.T  # (B, P)
    mixed = mix @ (parts * seen[..., None])
    known = share[..., None] > _NOTHING  # where nothing around is seen, the part is what it was
    mixed = torch.where(known, mixed / share[..., None].clamp_min(_NOTHING), parts)
    return template._replace(parts=mixed, visible=share.to(visible))


@lru_cache(maxsize=32)
def _gaussian(grid: tuple[int, int], spread: float) -> Tensor:
    """(P, P): how much each place takes from each other one."""
    down, across = (_along(places, spread) for places in grid)
    return torch.kron(down, across)


def _along(places: int, spread: float) -> Tensor:
    place = torch.arange(places, dtype=torch.float64)
    apart = (place[:, None] - place).abs() / spread
    weight = torch.exp(-0.5 * apart**2) * (apart <= _FARTHEST)
    return weight / weight.sum(1, keepdim=True)


def shift_parts(template: Template, *, down: float, across: float) -> Template:
    """The template of the same face moved by so many places of the grid, which need not be whole.

    Values between places are bilinear; what comes in from beyond the border is not visible.  The embedding stays as it
    is.  Raises `ShapeError` for parts of an unknown grid.
    """
    parts, grid = template.parts, template.grid
    if parts is None or (down == 0 and across == 0):
        return template
    if grid is None or grid[0] * grid[1] != parts.shape[1]:
        raise ShapeError(f"nothing says on which grid these {parts.shape[1]} parts lie; give the template a grid")
    if not (math.isfinite(down) and math.isfinite(across)):
        raise OptionError(f"a shift is finite, not {down!r} down and {across!r} across")
    move = torch.kron(_moved(grid[0], down), _moved(grid[1], across)).to(parts)
    visible = torch.ones_like(parts[..., 0]) if template.visible is None else template.visible.to(parts)
    return template._replace(parts=move @ parts, visible=(visible @ move.T).clamp(0, 1))


def _moved(places: int, by: float) -> Tensor:
    """(places, places): the weights of the old places in each new one; a row sums to less than 1 at the border."""
    place = torch.arange(places, dtype=torch.float64)
    return (1 - (place[:, None] - by - place).abs()).clamp_min(0)
