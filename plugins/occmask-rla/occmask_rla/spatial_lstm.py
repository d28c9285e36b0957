"""A spatial (2-D) LSTM: a memory that runs over the positions of a grid, from the left and from above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

_GAIN = 3.0  # of the inputs' first weights: pixels in [-1, 1] would leave the gates where they are linear


class GridState(NamedTuple):
    """What the LSTM holds at each position."""

    hidden: Tensor  # (B, rows, columns, units)
    cell: Tensor  # (B, rows, columns, units)


class SpatialLstm(nn.Module):
    """One layer of a 2-D LSTM with two forget gates (Graves et al. 2007; Zhao et al., TIP 2018, section III).

    Called with one tensor (B, rows, columns, n) for each n in `widths`: every kind of input has its own weights.  At a
    position with left neighbour l and upper neighbour u (zeros outside the grid), a = sum of the inputs' products +
    W_l h_l + W_u h_u + b, and with peepholes p

        i = sigmoid(a_i + p_il c_l + p_iu c_u)    g = tanh(a_g)
        f_l = sigmoid(a_fl + p_l c_l)             f_u = sigmoid(a_fu + p_u c_u)
        c = i g + f_l c_l + f_u c_u               o = sigmoid(a_o + p_o c)          h = o tanh(c)

    `forget_bias` is where the biases of f_l and f_u start.
    """

    def __init__(self, widths: Sequence[int], units: int, *, peepholes: bool, forget_bias: float):
        super().__init__()
        self.units = units
        self.inputs = nn.ModuleList(nn.Linear(width, 5 * units, bias=False) for width in widths)
        self.neighbours = nn.Linear(2 * units, 5 * units)  # of (h_l, h_u), and the bias
        self.peepholes = nn.Parameter(torch.zeros(5, units)) if peepholes else None  # il, iu, l, u, o
        for layer in self.inputs:
            nn.init.xavier_uniform_(layer.weight, gain=_GAIN)  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.neighbours.weight)
        nn.init.zeros_(self.neighbours.bias)
        nn.init.constant_(self.neighbours.bias[2 * units : 4 * units], forget_bias)

    def forward(self, *inputs: Tensor) -> GridState:
        read = torch.stack([layer(x) for layer, x in zip(self.inputs, inputs, strict=True)]).sum(0)
        rows, columns = read.shape[1], read.shape[2]
        nothing = read.new_zeros(read.shape[0], self.units)
        hidden: list[list[Tensor]] = []
        cell: list[list[Tensor]] = []
        for row in range(rows):
            hidden.append([])
            cell.append([])
            for column in range(columns):
                left = (hidden[row][-1], cell[row][-1]) if column else (nothing, nothing)
                above = (hidden[row - 1][column], cell[row - 1][column]) if row else (nothing, nothing)
                h, c = self._step(read[:, row, column], left, above)
                hidden[row].append(h)
                cell[row].append(c)
        return GridState(_grid(hidden), _grid(cell))

    def _step(self, read: Tensor, left: tuple[Tensor, Tensor], above: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        (h_left, c_left), (h_above, c_above) = left, above
        a = read + self.neighbours(torch.cat([h_left, h_above], dim=1))
        enter, candidate, keep_left, keep_above, leave = a.chunk(5, dim=1)
        if self.peepholes is not None:
            p = self.peepholes
            enter = enter + p[0] * c_left + p[1] * c_above
            keep_left, keep_above = keep_left + p[2] * c_left, keep_above + p[3] * c_above
        c = enter.sigmoid() * candidate.tanh() + keep_left.sigmoid() * c_left + keep_above.sigmoid() * c_above
        if self.peepholes is not None:
            leave = leave + self.peepholes[4] * c
        return leave.sigmoid() * c.tanh(), c


def _grid(states: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=1) for row in states], dim=1)
