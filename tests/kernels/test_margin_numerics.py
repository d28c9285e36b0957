"""How far gradients lie from float64 at each operand precision, late in training, where rounding hurts most.

fp16, tf32 and bf16 are emulated here: the plain torch path rounds the operands of every product as a GPU's matrix units
take them, and multiplies in float32.  ieee is what it is.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from occmask_kernels import backend, margin_lse
from occmask_kernels._dispatch import INTERPRET

ROWS, CLASSES, WIDTH, SCALE, MARGIN = 128, 10_572, 512, 64.0, 0.4  # CASIA-WebFace's classes
LATE, EARLY = 0.7, 0.0  # the target cosine
LARGEST_ERROR = {"ieee": 1e-5, "tf32": 1e-3, "fp16": 1e-3, "bf16": 4e-3}


def faces(align: float, classes: int = CLASSES, width: int = WIDTH) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings and class weights of various lengths; each face has the cosine `align` with its class, about."""
    g = torch.Generator().manual_seed(0)
    weight = torch.randn(classes, width, generator=g)
    label = torch.randint(0, classes, (ROWS,), generator=g)
    noise = F.normalize(torch.randn(ROWS, width, generator=g))
    unit = F.normalize(align * F.normalize(weight)[label] + math.sqrt(1 - align**2) * noise)
    return unit * torch.linspace(5, 40, ROWS).unsqueeze(1), 0.05 * weight, label


def gradients(embedding: Tensor, weight: Tensor, label: Tensor, **options) -> tuple[Tensor, ...]:
    inputs = embedding.requires_grad_(), weight.requires_grad_()
    log_neg, cosine = margin_lse(*inputs, label, SCALE, **options)
    excess = log_neg - SCALE * (cosine - MARGIN)
    return torch.autograd.grad(torch.logaddexp(excess, torch.zeros_like(excess)).mean(), inputs)


def exact_gradients(embedding: Tensor, weight: Tensor, label: Tensor) -> tuple[Tensor, ...]:
    """Cross entropy on the dense margin logits in float64."""
    inputs = embedding.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    cosine = F.normalize(inputs[0]) @ F.normalize(inputs[1]).t()
    logits = SCALE * (cosine - MARGIN * F.one_hot(label, len(weight)))
    return torch.autograd.grad(F.cross_entropy(logits, label), inputs)


def errors(found: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> list[float]:
    return [((a - b).norm() / b.norm()).item() for a, b in zip(found, exact, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("align", [EARLY, LATE])
def test_gradients_are_as_close_to_float64_as_their_precision_promises(align):
    inputs = faces(align)
    exact = exact_gradients(*inputs)
    found = {name: max(errors(gradients(*inputs, precision=name), exact)) for name in LARGEST_ERROR}
    assert all(error <= LARGEST_ERROR[name] for name, error in found.items()), found
    # Each step of precision buys something, or the rounding is not happening
    assert 30 * found["ieee"] < found["tf32"] < found["bf16"]
    assert 30 * found["ieee"] < found["fp16"] < found["bf16"] / 2


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_cache_costs_no_more_than_bf16(precision):
    inputs = faces(LATE)
    found = gradients(*inputs, precision=precision, cache=10**9)
    assert max(errors(found, exact_gradients(*inputs))) <= LARGEST_ERROR["bf16"]


@pytest.mark.parametrize("share", [1e-9, 1e-3, 1.0, 1e4])
def test_fp16_holds_gradients_of_any_size(share):
    """A loss scaled for mixed precision, or a batch whose faces are nearly all right."""
    inputs = faces(LATE, classes=500, width=64)
    up = torch.ones(ROWS)
    up[1:] = share
    leaves = inputs[0].requires_grad_(), inputs[1].requires_grad_()
    grads = []
    for precision in ("fp16", "ieee"):
        log_neg, cosine = margin_lse(*leaves, inputs[2], SCALE, precision=precision)
        grads.append(torch.autograd.grad(((log_neg - SCALE * cosine) * up).sum(), leaves))
    (d_embedding, d_weight), (exact_embedding, exact_weight) = grads
    row_error = (d_embedding - exact_embedding).norm(dim=1) / exact_embedding.norm(dim=1)
    assert row_error.max() <= 5e-3  # every face, the least one too
    assert (d_weight - exact_weight).norm() <= 2e-3 * exact_weight.norm()


@pytest.mark.interpreter
@pytest.mark.parametrize("precision", ["ieee", "fp16"])
@pytest.mark.skipif(not INTERPRET, reason="the kernels' own arithmetic")
def test_the_kernels_reach_the_same_precision(precision):
    inputs = faces(LATE, classes=300, width=128)
    with backend("triton"):
        found = gradients(*inputs, precision=precision)
    assert max(errors(found, exact_gradients(*inputs))) <= LARGEST_ERROR[precision]
