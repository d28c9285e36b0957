"""`margin_lse` in plain torch, chunked over classes: the CPU's path, and what every kernel must compute.

Chunks go over the classes, never over the rows: with many more classes than rows, chunks of rows would
read the class weights once for every few rows (and the gradient of the weights twice).

Both passes work in buffers made once: on a CPU, asking the system for the memory of every chunk anew
takes longer than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .precision import LOG_GAIN, ROW_GAIN, TILE, round_operand, working_dtype

# Classes at a time: within 3 % of the best of 512..8192 for 256, 512 and 1024 rows on a CPU
DEFAULT_CHUNK = 2048
EPS = 1e-12  # a row not longer than this has no direction
_LARGEST_TARGET = 2.0  # of |P|, see `split_gradient`


class Forward(NamedTuple):
    """What the forward pass finds; `tiles` are kept for the backward pass."""

    log_neg: Tensor  # (N,)
    cos_target: Tensor  # (N,)
    rank: Tensor  # (N,) int64, or (0,)
    tiles: list[Tensor]  # exp(scale * cos) of the first chunks, (N, n) each, 0 for the own class


class Gradients(NamedTuple):
    """Of the inputs; of `weight` only the rows that took part."""

    embedding: Tensor  # (N, D)
    weight: Tensor  # (M, D)
    scale: Tensor  # ()


class GradientSplit(NamedTuple):
    """d loss / d cos as row * P; P is what goes through the matrix products."""

    row: Tensor  # (N,)
    offset: Tensor  # (N,) P_ij = exp(scale * cos_ij - offset_i) for the other classes j
    target: Tensor  # (N,) P of the own class


def normalise(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of length 1, and one over the length they had, (n, 1); both 0 where there is no direction."""
    inverse = _inverse_length(rows)
    return rows * inverse, inverse


def _inverse_length(rows: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    inverse: Tensor = length.reciprocal().masked_fill(length <= EPS, 0.0)  # a comparison that keeps NaN
    return inverse


def normalise_backward(grad: Tensor, unit: Tensor, inverse: Tensor) -> Tensor:
    """Gradient of the rows from that of the unit rows: the part along the row is lost."""
    return inverse * (grad - (grad * unit).sum(dim=1, keepdim=True) * unit)


def target_cosine(unit: Tensor, weight: Tensor, label: Tensor, classes: Tensor | None) -> Tensor:
    """Cosine of unit rows with their own class, unrounded, (N,); 0 for label -1, NaN for a label of no class."""
    known = (label >= 0) & (label < (weight if classes is None else classes).shape[0])
    row = torch.where(known, label, 0)
    row = row if classes is None else classes[row]
    own, _ = normalise(weight.index_select(0, row).to(unit.dtype))  # (N, D)
    cosine = (unit * own).sum(dim=1)
    return cosine.masked_fill(label == -1, 0.0).masked_fill((label != -1) & ~known, torch.nan)


def split_gradient(
    grad_log_neg: Tensor, grad_cos_target: Tensor, scale: Tensor, log_neg: Tensor, log_gain: float
) -> GradientSplit:
    """Rows that carry size and sign, and a P between 0 and exp(log_gain), whatever the incoming gradients.

    With r = grad_log_neg * scale, d loss / d cos_ij = r_i exp(scale cos_ij - log_neg_i) for j != label_i and
    grad_cos_target_i for the own class.  P of the own class stays within +-2 (times the gain), so that fp16 holds it.
    """
    r = grad_log_neg * scale
    size = torch.maximum(r.abs(), grad_cos_target.abs() / _LARGEST_TARGET)
    row = torch.where(size == 0, torch.ones_like(size), torch.copysign(size, r))
    offset = log_neg - (r / row).log() - log_gain  # r = 0: an infinite offset, and P = 0
    gain = torch.exp(torch.full_like(row, log_gain))
    return GradientSplit(row / gain, offset, grad_cos_target / row * gain)


def weigh(row: Tensor, row_gain: float) -> Tensor:
    """The number () to divide `row` by so that fp16 holds unit rows times the quotient."""
    largest = row.abs().amax() if row.numel() else row.new_ones(())
    return largest.clamp(min=torch.finfo(row.dtype).tiny) / row_gain


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Matrix products as `precision` says, whatever torch's global settings and autocast say.

    Rounded operands hold no more bits than tf32 keeps, so a GPU may multiply them as tf32: the result is the same.
    """
    settings: dict[Any, str] = {torch.backends.cuda.matmul: "ieee" if precision == "ieee" else "tf32"}
    settings[torch.backends.mkldnn.matmul] = "ieee"  # type: ignore[attr-defined]
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting, value in settings.items():
            setting.fp32_precision = value
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value


class _Chunks:
    """The scaled cosines of all rows with a chunk of classes at a time, in the same two buffers."""

    def __init__(
        self,
        unit: Tensor,
        weight: Tensor,
        label: Tensor,
        scale: Tensor,
        classes: Tensor | None,
        precision: str,
        size: int,
    ):
        self.weight, self.classes, self.precision = weight, classes, precision
        self.label, self.scaled = label, unit * scale
        self.num_classes = (weight if classes is None else classes).shape[0]
        self.size = min(size, self.num_classes)
        self.cosines = unit.new_empty(unit.shape[0] * self.size)
        self.units = unit.new_empty(self.size, unit.shape[1])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.num_classes, self.size):
            yield start, min(start + self.size, self.num_classes)

    def class_units(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Unit rows (n, D) as operands, valid until the next chunk, and their inverse lengths (n, 1)."""
        rows = (
            self.weight[start:stop] if self.classes is None else self.weight.index_select(0, self.classes[start:stop])
        )
        rows = rows.to(self.units.dtype)
        inverse = _inverse_length(rows)
        unit = torch.mul(rows, inverse, out=self.units[: stop - start])
        return round_operand(unit, self.precision), inverse

    def buffer(self, start: int, stop: int) -> Tensor:
        """(N, n), contiguous."""
        rows = self.scaled.shape[0]
        return self.cosines[: rows * (stop - start)].view(rows, stop - start)

    def logits(self, class_unit: Tensor, out: Tensor) -> Tensor:
        """(N, n), in `out`."""
        return torch.mm(self.scaled, class_unit.t(), out=out)

    def set_target(self, values: Tensor, start: int, new: Tensor) -> None:
        """values[i, label_i] = new_i, in place, for the rows whose own class is in the chunk that begins at `start`."""
        column = self.label - start
        inside = (column >= 0) & (column < values.shape[1])
        index = column.clamp(0, values.shape[1] - 1).unsqueeze(1)
        # no boolean indexing: it would wait for the device
        values.scatter_(1, index, torch.where(inside.unsqueeze(1), new.unsqueeze(1), values.gather(1, index)))


class RunningSum:
    """The sum of exponentials of chunks of logits; `bounded`: no logit needs a maximum subtracted."""

    def __init__(self, like: Tensor, *, bounded: bool):
        self.bounded = bounded
        self.total = torch.zeros_like(like)  # (N,)
        self.peak = torch.zeros_like(like) if bounded else torch.full_like(like, -torch.inf)

    def add(self, logits: Tensor) -> None:
        """Leaves exp(logits - peak so far) in `logits`, (N, n)."""
        if not self.bounded:
            top = torch.maximum(self.peak, logits.amax(dim=1))
            shift = top.masked_fill(top == -torch.inf, 0.0)  # no negative so far: -inf - -inf would be NaN
            self.total *= torch.exp(self.peak - shift)
            self.peak = top
            logits.sub_(shift.unsqueeze(1))
        self.total += logits.exp_().sum(dim=1)

    def log(self) -> Tensor:
        return self.peak.masked_fill(self.peak == -torch.inf, 0.0) + self.total.log()


def forward(
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: Tensor,
    classes: Tensor | None,
    *,
    precision: str,
    bounded: bool,
    cached: int,
    ranked: bool,
    chunk: int,
) -> Forward:
    """See `margin_lse`; `label` counts among `classes`, and the chunks of the first `cached` of them leave tiles."""
    dtype = working_dtype(embedding, weight)
    with products(precision):
        unit, _ = normalise(embedding.to(dtype))
        cos_target = target_cosine(unit, weight, label, classes)
        chunks = _Chunks(round_operand(unit, precision), weight, label, scale.to(dtype), classes, precision, chunk)
        total = RunningSum(cos_target, bounded=bounded)
        rank = label.new_zeros(label.shape[0] if ranked else 0)
        tiles: list[Tensor] = []
        tile_dtype = dtype if dtype == torch.float64 else TILE[precision]
        nothing = torch.full_like(cos_target, -torch.inf)
        for start, stop in chunks:
            class_unit, _ = chunks.class_units(start, stop)
            keep = start < cached
            out = unit.new_empty(unit.shape[0], stop - start) if keep else chunks.buffer(start, stop)
            logits = chunks.logits(class_unit, out)
            chunks.set_target(logits, start, nothing)
            if ranked:
                # not "higher than": a NaN must not make a face right
                rank += (~(logits <= (cos_target * scale).unsqueeze(1)) & (logits != -torch.inf)).sum(dim=1)
            total.add(logits)
            if keep:
                tiles.append(logits.to(tile_dtype))
    log_neg = torch.where(cos_target.isnan(), cos_target, total.log())  # a label of no class spoils its row visibly
    return Forward(log_neg, cos_target, rank, tiles)


def backward(
    grad_log_neg: Tensor,
    grad_cos_target: Tensor,
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: Tensor,
    classes: Tensor | None,
    found: Forward,
    *,
    precision: str,
    chunk: int,
    wants_weight: bool,
) -> Gradients:
    """Each chunk of cosines again, or from its tile, then both matrix products of its gradient."""
    dtype = found.log_neg.dtype
    with products(precision):
        unit, inverse = normalise(embedding.to(dtype))
        rounded = round_operand(unit, precision)
        split = split_gradient(grad_log_neg, grad_cos_target, scale.to(dtype), found.log_neg, LOG_GAIN[precision])
        chunks = _Chunks(rounded, weight, label, scale.to(dtype), classes, precision, chunk)
        offset, from_tile = split.offset.unsqueeze(1), torch.exp(-split.offset).unsqueeze(1)
        size = weigh(split.row, ROW_GAIN[precision])
        weighted = round_operand(rounded * (split.row / size).unsqueeze(1), precision)  # (N, D)
        grad_unit = torch.zeros_like(unit)
        grad_weight = unit.new_empty(chunks.num_classes if wants_weight else 0, unit.shape[1])
        for index, (start, stop) in enumerate(chunks):
            class_unit, class_inverse = chunks.class_units(start, stop)
            p = chunks.buffer(start, stop)
            if index < len(found.tiles):
                torch.mul(found.tiles[index], from_tile, out=p)
            else:
                chunks.logits(class_unit, p).sub_(offset).exp_()
            chunks.set_target(p, start, split.target)
            p = round_operand(p, precision)
            grad_unit.addmm_(p, class_unit)
            if wants_weight:
                grad = torch.mm(p.t(), weighted, out=grad_weight[start:stop])
                along = (grad * class_unit).sum(dim=1, keepdim=True)
                grad.addcmul_(class_unit, along, value=-1).mul_(class_inverse * size)
        grad_unit *= split.row.unsqueeze(1)
        cosines = (grad_unit * unit).sum(dim=1)  # (N,) scale * sum_j P_ij cos_ij over all j, times row
        grad_scale = (cosines - grad_cos_target * found.cos_target).sum() / scale
        grad_embedding = normalise_backward(grad_unit, unit, inverse)
    return Gradients(grad_embedding.to(embedding.dtype), grad_weight.to(weight.dtype), grad_scale.to(scale.dtype))
