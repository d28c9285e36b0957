"""How far down a face is free: the line of the nose, or the upper edge of what hides everything below it."""

from __future__ import annotations

import torch
from torch import Tensor

import occmask

# The tip of the nose in the ArcFace template: y = 71.7366 of 112.  In the mean face of ORL, never aligned, the eyes
# are at 0.455 and the mouth at 0.78 of the height; with the template's proportions the nose is then at 0.62.
NOSE_LINE = 0.64

REACH = 0.15  # of the height: an edge further from the nose line is none of a face mask
_CHIN = 0.9  # down to here a face mask hides the middle of the face
_ROWS = 224  # of a box that comes without a map: half-pixel steps of a 112-pixel face


def free_height(truth: occmask.OcclusionTruth, *, nose_line: float = NOSE_LINE, reach: float = REACH) -> Tensor:
    """The share of each face's height, from the top, that is to be looked at: (B,), on the truth's device.

    It is the nose line, unless something hides the middle of the face from no more than `reach` above or below that
    line down to the chin, and nothing above it: then it is the upper edge of that.  The middle is the third of the
    columns between the eyes; a row of it is hidden when at least half of it is, so straps at the sides do not count,
    and a mirrored face has the same height.  Without a covered map the box is taken for what hides the face.
    """
    hidden = _hidden_rows(truth)  # (B, R), of equal height
    rows = hidden.shape[1]
    row = (torch.arange(rows, device=hidden.device, dtype=truth.box.dtype) + 0.5) / rows  # (R,) their middles
    first = hidden.to(torch.uint8).argmax(1).to(truth.box.dtype) / rows  # (B,) upper edge of the first hidden one
    under = (row >= first[:, None]) & (row < _CHIN)  # (B, R) what a face mask with this edge hides
    worn = (hidden & under).sum(1) >= 0.9 * under.sum(1)  # folds and edges leave a row or two
    near = hidden.any(1) & ((first - nose_line).abs() <= reach)
    return torch.where(worn & near, first, torch.full_like(first, nose_line))


def _hidden_rows(truth: occmask.OcclusionTruth) -> Tensor:
    """Whether the middle third of each row is hidden: (B, R) booleans."""
    if truth.covered is not None:
        width = truth.covered.shape[2]
        side = width // 3
        return truth.covered[:, :, side : width - side].to(truth.box.dtype).mean(2) >= 0.5
    x0, y0, x1, y1 = truth.box[:, :, None].unbind(1)  # (B, 1) each
    row = (torch.arange(_ROWS, device=truth.box.device, dtype=truth.box.dtype) + 0.5) / _ROWS
    across = x1.clamp(max=2 / 3) - x0.clamp(min=1 / 3)
    return (across >= 1 / 6) & (row >= y0) & (row < y1)
