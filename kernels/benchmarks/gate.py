"""Every operation against its formula in float64, before any time is measured: what is wrong has no speed.

Formulas are dense and plain, and share nothing with the implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import occmask
from occmask_kernels import margin_lse, margin_lse_and_rank, mask_apply, mask_apply_and_gate
from occmask_kernels.margin.precision import PRECISIONS
from occmask_kernels.margin.reweighted import reweighted_lse

from .measure import relative_error
from .numerics_cases import LIMIT
from .published import randomise
from .record import Row
from .scenes import SCALE, Scene, scene

SMALL, LARGE = (200, 1000, 512), (1024, 93_431, 512)  # rows, classes, dim; the large one on a GPU only
GATE_SLACK = 1.5  # random gradients of both results are harder than those of a loss, to which the limits belong
MASK_LIMIT = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 6e-3}  # rounded once, and so are the gradients
MODEL_LIMIT = 1e-5  # of an embedding, as `occmask.optimize` promises


class Check(NamedTuple):
    """`errors` computes the relative errors, none of which may exceed `limit`."""

    case: str
    operation: str
    errors: Callable[[], dict[str, float]]
    limit: float


def verify(device: str) -> Iterator[Row]:
    """A row for each check; `Row.right` says whether it passed."""
    for check in checks(device):
        yield Row(
            table="gate",
            case=check.case,
            part="values and gradients",
            implementation=check.operation,
            error=check.errors(),
            limit=check.limit,
        )


def checks(device: str) -> Iterator[Check]:
    yield from _margin_checks(SMALL, device)
    if device == "cuda":
        yield from _margin_checks(LARGE, device)
    yield from _mask_checks(device)
    yield Check("from_tiny, batch 4", "optimize", lambda: _optimize_errors(device), MODEL_LIMIT)


def _margin_checks(size: tuple[int, int, int], device: str) -> Iterator[Check]:
    batch = scene(*size, cosine=0.5, device=device)
    batch.label[::7] = -1  # a row whose class is elsewhere
    name = "N={} C={} D={}".format(*size)
    for precision in PRECISIONS:
        for cache in (0, "auto"):
            yield Check(
                name,
                f"margin_lse {precision}, cache {cache}",
                partial(_lse_errors, batch, precision, cache),
                GATE_SLACK * LIMIT[precision],
            )
    yield Check(name, "margin_lse ieee, sampled classes", lambda: _sampled_errors(batch), LIMIT["ieee"])
    yield Check(name, "margin_lse_and_rank ieee", lambda: _rank_errors(batch), 2e-3)
    if size == SMALL:
        yield Check(name, "reweighted_lse", lambda: _reweighted_errors(batch), LIMIT["ieee"])


def _cosines(embedding: Tensor, weight: Tensor) -> Tensor:
    return F.normalize(embedding) @ F.normalize(weight).t()  # (N, C)


def _dense(embedding: Tensor, weight: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """log_neg and cos_target by their definitions."""
    cosine = _cosines(embedding, weight)
    own = label[:, None] == torch.arange(weight.shape[0], device=label.device)
    return torch.logsumexp((SCALE * cosine).masked_fill(own, -torch.inf), 1), (cosine * own).sum(1)


def _doubles(*tensors: Tensor) -> list[Tensor]:
    return [t.detach().double().requires_grad_() for t in tensors]


def _compare(
    found: tuple[Tensor, ...], leaves: tuple[Tensor, Tensor], truth: tuple[Tensor, ...], wide: list[Tensor], *names: str
) -> dict[str, float]:
    """Errors of the results, and of both gradients of a fixed random combination of them."""
    generator = torch.Generator().manual_seed(1)
    up = [torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t.device) for t in truth]
    gradients = torch.autograd.grad(found, leaves, [u.to(t.dtype) for u, t in zip(up, found, strict=True)])
    true_gradients = torch.autograd.grad(truth, wide, up)
    dense = (g.to_dense() if g.is_sparse else g for g in gradients)
    pairs = zip(names, (*found, *dense), (*truth, *true_gradients), strict=True)
    return {name: relative_error(a, b) for name, a, b in pairs}


_LSE = "log_neg", "cos_target", "d embedding", "d weight"


def _lse_errors(batch: Scene, precision: str, cache: Any) -> dict[str, float]:
    found = margin_lse(*batch, SCALE, precision=precision, cache=cache)
    wide = _doubles(*batch.leaves)
    return _compare(found, batch.leaves, _dense(wide[0], wide[1], batch.label), wide, *_LSE)


def _sampled_errors(batch: Scene) -> dict[str, float]:
    classes = torch.arange(0, batch.weight.shape[0], 3, device=batch.label.device)
    found = margin_lse(*batch, SCALE, precision="ieee", classes=classes)
    wide = _doubles(*batch.leaves)
    position = torch.where((batch.label >= 0) & (batch.label % 3 == 0), batch.label // 3, -1)
    return _compare(found, batch.leaves, _dense(wide[0], wide[1][classes], position), wide, *_LSE)


def _rank_errors(batch: Scene) -> dict[str, float]:
    """The share of ranks that are wrong; two classes closer than float32 can tell may change places."""
    with torch.no_grad():
        *_, rank = margin_lse_and_rank(*batch, SCALE, precision="ieee")
        cosine = _cosines(*_doubles(*batch.leaves))
        own = cosine.gather(1, batch.label.clamp(min=0)[:, None]).masked_fill(batch.label[:, None] < 0, 0.0)
        return {"wrong ranks": (rank != (cosine > own).sum(1)).double().mean().item()}


def _reweighted_errors(batch: Scene) -> dict[str, float]:
    """With a function that leaves nothing bounded: 2 cos^2."""
    wide = _doubles(*batch.leaves)
    found = reweighted_lse(*batch, SCALE / 8, lambda cosine: 2 * cosine.square())
    own = batch.label[:, None] == torch.arange(batch.weight.shape[0], device=batch.label.device)
    truth = torch.logsumexp((SCALE / 4 * _cosines(*wide).square()).masked_fill(own, -torch.inf), 1)
    return _compare((found,), batch.leaves, (truth,), wide, _LSE[0], *_LSE[2:])


def _mask_checks(device: str) -> Iterator[Check]:
    x = torch.randn(6, 16, 7, 6, generator=torch.Generator().manual_seed(2))
    gates = {"full": (x, x.flip(0)), "shared": (x, x[:, :1].flip(0)), "vector": (x[:, :, 0, 0], x[:, :, 1, 1])}
    for gate, (features, logits) in gates.items():
        for dtype, limit in MASK_LIMIT.items():
            pair = _leaf(features, device, dtype), _leaf(logits, device, dtype)
            name = f"{gate} {str(dtype).removeprefix('torch.')}"
            for threshold in (None, 0.5):
                what = "soft" if threshold is None else "hard"
                yield Check(name, f"mask_apply {what}", partial(_mask_errors, pair, threshold, gated_only=True), limit)
            yield Check(name, "mask_apply_and_gate", partial(_mask_errors, pair, None, gated_only=False), limit)


def _leaf(values: Tensor, device: str, dtype: torch.dtype) -> Tensor:
    return values.clone().to(device, dtype).requires_grad_()


def _mask_errors(pair: tuple[Tensor, Tensor], threshold: float | None, *, gated_only: bool) -> dict[str, float]:
    wide = _doubles(*pair)
    soft = wide[1].sigmoid()
    gate = soft if threshold is None else soft + ((soft >= threshold).double() - soft).detach()
    if gated_only:
        found: tuple[Tensor, ...] = (mask_apply(*pair, threshold=threshold),)
        return _compare(found, pair, (wide[0] * gate,), wide, "gated", "d x", "d logits")
    found = mask_apply_and_gate(*pair, threshold=threshold)
    return _compare(found, pair, (wide[0] * gate, soft), wide, "gated", "gate", "d x", "d logits")


def _optimize_errors(device: str) -> dict[str, float]:
    """The inference form in float32 against the evaluation forward in float64."""
    model = occmask.build("from_tiny")
    randomise(model, seed=0)
    height, width = model.config.image_size
    images = torch.rand(4, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        found = occmask.optimize(model).to(device)(images.to(device))
        truth = model.double()(images.double())
    return {"embedding": relative_error(_embedding(found).cpu(), _embedding(truth))}


def _embedding(output: object) -> Tensor:
    embedding = getattr(output, "embedding", output)
    assert isinstance(embedding, Tensor)
    return embedding
