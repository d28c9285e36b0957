"""The encoder's parts against their definitions, written out slowly."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from occmask_rla.decoder import CanvasChannel, LstmCell
from occmask_rla.spatial_lstm import SpatialLstm
from occmask_rla.windows import read_wide_windows, read_windows


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def slow_spatial_lstm(lstm: SpatialLstm, inputs: list[torch.Tensor]) -> torch.Tensor:
    """One number at a time, straight from the equations."""
    _, rows, columns, _ = inputs[0].shape
    units = lstm.units
    hidden = torch.zeros(inputs[0].shape[0], rows, columns, units, dtype=torch.float64)
    cell = torch.zeros_like(hidden)
    p = lstm.peepholes if lstm.peepholes is not None else torch.zeros(5, units, dtype=torch.float64)
    for b in range(inputs[0].shape[0]):
        for r in range(rows):
            for k in range(columns):
                zeros = [0.0] * units
                h_left = hidden[b, r, k - 1].tolist() if k else zeros
                c_left = cell[b, r, k - 1].tolist() if k else zeros
                h_above = hidden[b, r - 1, k].tolist() if r else zeros
                c_above = cell[b, r - 1, k].tolist() if r else zeros

                def a(gate: int, unit: int, *, at=(b, r, k), neighbours=tuple(h_left + h_above)) -> float:
                    row = gate * units + unit
                    total = lstm.neighbours.bias[row].item()
                    for layer, x in zip(lstm.inputs, inputs, strict=True):
                        total += sum(w * v for w, v in zip(layer.weight[row].tolist(), x[at].tolist(), strict=True))
                    weights = lstm.neighbours.weight[row].tolist()
                    return total + sum(w * v for w, v in zip(weights, neighbours, strict=True))

                for u in range(units):
                    enter = sigmoid(a(0, u) + p[0, u].item() * c_left[u] + p[1, u].item() * c_above[u])
                    candidate = math.tanh(a(1, u))
                    keep_left = sigmoid(a(2, u) + p[2, u].item() * c_left[u])
                    keep_above = sigmoid(a(3, u) + p[3, u].item() * c_above[u])
                    c = enter * candidate + keep_left * c_left[u] + keep_above * c_above[u]
                    cell[b, r, k, u] = c
                    hidden[b, r, k, u] = sigmoid(a(4, u) + p[4, u].item() * c) * math.tanh(c)
    return torch.cat([hidden, cell], dim=-1)


@settings(max_examples=8, deadline=None)
@given(
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    units=st.integers(1, 3),
    peepholes=st.booleans(),
    two=st.booleans(),
)
def test_the_spatial_lstm_is_its_equations(rows, columns, units, peepholes, two):
    torch.manual_seed(rows * 100 + columns * 10 + units)
    widths = (3, 2) if two else (3,)
    lstm = SpatialLstm(widths, units, peepholes=peepholes, forget_bias=0.5).double()
    for parameter in lstm.parameters():
        torch.nn.init.normal_(parameter)
    inputs = [torch.randn(2, rows, columns, width, dtype=torch.float64) for width in widths]
    with torch.no_grad():
        seen = lstm(*inputs)
        expected = slow_spatial_lstm(lstm, inputs)
    assert torch.allclose(torch.cat([*seen], dim=-1), expected, atol=1e-10)


def test_a_position_knows_what_lies_left_and_above_and_nothing_else():
    lstm = SpatialLstm((2,), 3, peepholes=True, forget_bias=0.0)
    x = torch.randn(1, 3, 3, 2)
    other = x.clone()
    other[0, 1, 1] += 1
    with torch.no_grad():
        changed = (lstm(x).hidden != lstm(other).hidden).any(-1)[0]
    assert changed.tolist() == [[False, False, False], [False, True, True], [False, True, True]]


def test_windows_are_those_of_the_definition():
    images = torch.arange(2 * 3 * 8 * 12, dtype=torch.float32).reshape(2, 3, 8, 12)
    near = read_windows(images, (2, 3), (4, 4))
    assert torch.equal(near[1, 1, 2], images[1, :, 4:8, 8:12].flatten())
    inner = read_windows(images, (2, 3), (2, 2))  # smaller than the cell: its middle
    assert torch.equal(inner[0, 0, 1], images[0, :, 1:3, 5:7].flatten())


@given(
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    cell=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    window=st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_windows_of_any_size_lie_around_the_middle_of_their_cell(rows, columns, cell, window):
    size = rows * cell[0], columns * cell[1]
    images = torch.arange(1.0, size[0] * size[1] + 1).reshape(1, 1, *size)
    near = read_windows(images, (rows, columns), window)
    wide = read_wide_windows(images, (rows, columns), window)
    assert near.shape == wide.shape == (1, rows, columns, window[0] * window[1])
    for row in range(rows):
        for column in range(columns):
            top = row * cell[0] - (window[0] - cell[0]) // 2
            left = column * cell[1] - (window[1] - cell[1]) // 2
            expected = [
                images[0, 0, y, x].item() if 0 <= y < size[0] and 0 <= x < size[1] else 0.0
                for y in range(top, top + window[0])
                for x in range(left, left + window[1])
            ]
            assert near[0, row, column].tolist() == expected


def test_a_wide_window_is_twice_as_wide_sampled_down_and_zero_outside():
    images = torch.randn(1, 1, 8, 12)
    wide = read_wide_windows(images, (2, 3), (4, 4))
    around = torch.nn.functional.pad(images, (2, 2, 2, 2))
    piece = around[0, 0, 0:8, 4:12]  # of the cell in row 0, column 1: rows -2..6, columns 2..10
    expected = piece.reshape(4, 2, 4, 2).mean((1, 3))
    assert torch.allclose(wide[0, 0, 1], expected.flatten(), atol=1e-6)


def test_painting_once_with_all_strokes_is_painting_step_by_step():
    torch.manual_seed(0)
    channel = CanvasChannel(5, 4, 7, layers=2, peepholes=True, forget_bias=1.0)
    torch.nn.init.normal_(channel.start)
    states = [(torch.randn(3, 4), torch.randn(3, 4)) for _ in range(2)]
    fed = [torch.randn(3, 5) for _ in range(3)]
    with torch.no_grad():
        painting = channel(states, fed)
        canvas, now = channel.start.expand(3, 7), list(states)
        for read in fed:
            now[0] = channel.cells[0](read, now[0])
            now[1] = channel.cells[1](now[0][0], now[1])
            canvas = canvas + channel.brush(now[1][0])
    assert torch.allclose(painting.canvas, canvas, atol=1e-5)
    assert len(painting.hidden) == 3
    assert torch.allclose(painting.hidden[-1], now[0][0], atol=1e-6)


def test_without_peepholes_a_cell_is_torchs_lstm():
    torch.manual_seed(0)
    ours = LstmCell(3, 4, peepholes=False, forget_bias=0.7)
    theirs = torch.nn.LSTMCell(3, 4)
    order = torch.cat([torch.arange(4), torch.arange(8, 12), torch.arange(4, 8), torch.arange(12, 16)])  # i f g o
    with torch.no_grad():
        theirs.weight_ih.copy_(ours.inputs.weight[order])
        theirs.weight_hh.copy_(ours.recurrent.weight[order])
        theirs.bias_ih.copy_(ours.recurrent.bias[order])
        theirs.bias_hh.zero_()
        x, state = torch.randn(2, 3), (torch.randn(2, 4), torch.randn(2, 4))
        for mine, other in zip(ours(x, state), theirs(x, state), strict=True):
            assert torch.allclose(mine, other, atol=1e-6)


@pytest.mark.parametrize("peepholes", [True, False])
def test_forget_biases_start_where_they_are_told(peepholes):
    lstm = SpatialLstm((2,), 3, peepholes=peepholes, forget_bias=5.0)
    assert lstm.neighbours.bias.tolist() == [0.0] * 6 + [5.0] * 6 + [0.0] * 3
