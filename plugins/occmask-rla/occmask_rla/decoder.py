"""The decoder's two channels: LSTMs that run for some steps and paint on an additive canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # hidden and cell, each (B, units)


class Painting(NamedTuple):
    """What one channel has made."""

    canvas: Tensor  # (B, pixels): logits
    hidden: tuple[Tensor, ...]  # the first layer's hidden state at each step, (B, units)


class LstmCell(nn.Module):
    """One step of an LSTM that may have no input; with `peepholes` its gates see the cell (Gers et al. 2002)."""

    def __init__(self, inputs: int, units: int, *, peepholes: bool, forget_bias: float):
        super().__init__()
        self.inputs = nn.Linear(inputs, 4 * units, bias=False) if inputs else None
        self.recurrent = nn.Linear(units, 4 * units)
        self.peepholes = nn.Parameter(torch.zeros(3, units)) if peepholes else None  # enter, keep, leave
        for layer in (self.inputs, self.recurrent):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.recurrent.bias)
        nn.init.constant_(self.recurrent.bias[2 * units : 3 * units], forget_bias)

    def forward(self, read: Tensor | None, state: State) -> State:
        hidden, cell = state
        a = self.recurrent(hidden)
        if self.inputs is not None:
            a = a + self.inputs(read)
        enter, candidate, keep, leave = a.chunk(4, dim=1)
        if self.peepholes is not None:
            enter, keep = enter + self.peepholes[0] * cell, keep + self.peepholes[1] * cell
        cell = enter.sigmoid() * candidate.tanh() + keep.sigmoid() * cell
        if self.peepholes is not None:
            leave = leave + self.peepholes[2] * cell
        return leave.sigmoid() * cell.tanh(), cell


class CanvasChannel(nn.Module):
    """Layers of LSTM cells; what the last one says at each step is painted on a canvas, over what is there.

    `inputs` is the width of what the first layer is fed at each step, 0 for nothing.
    """

    def __init__(self, inputs: int, units: int, pixels: int, *, layers: int, peepholes: bool, forget_bias: float):
        super().__init__()
        widths = (inputs, *[units] * (layers - 1))
        self.cells = nn.ModuleList(
            LstmCell(width, units, peepholes=peepholes, forget_bias=forget_bias) for width in widths
        )
        self.brush = nn.Linear(units, pixels, bias=False)
        self.start = nn.Parameter(torch.zeros(pixels))  # the canvas before the first step
        nn.init.normal_(self.brush.weight, std=0.1 / units**0.5)  # a canvas that is changed little at first

    def forward(self, states: Sequence[State], fed: Sequence[Tensor | None]) -> Painting:
        """`states`: one for each layer; `fed`: the first layer's input at each step."""
        now = list(states)
        first: list[Tensor] = []
        strokes: list[Tensor] = []
        for read in fed:
            for layer, cell in enumerate(self.cells):
                now[layer] = cell(read, now[layer])
                read = now[layer][0]
            first.append(now[0][0])
            strokes.append(now[-1][0])
        # The brush is linear, so painting once with the sum of all strokes is the same as one after another.
        return Painting(self.start + self.brush(torch.stack(strokes).sum(0)), tuple(first))
