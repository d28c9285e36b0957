"""The class-chunked loss beside the dense formula, in one run: a table to read, no time asserted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import occmask
from occmask.margins.loss import MarginLoss

N, C, D = 128, 10572, 512  # a batch, the identities of CASIA-WebFace, the width of an embedding


def dense(loss: MarginLoss, embedding: Tensor, label: Tensor) -> Tensor:
    cosine = F.linear(F.normalize(embedding), F.normalize(loss.weight))  # (N, C)
    margin = F.one_hot(label, C) * 0.35
    return F.cross_entropy(loss.scale * (cosine - margin), label)


def chunked(loss: MarginLoss, embedding: Tensor, label: Tensor) -> Tensor:
    value: Tensor = loss(embedding, label)
    return value


@pytest.mark.slow
@pytest.mark.benchmark(group=f"CosFace forward and backward, N={N} C={C} D={D}")
@pytest.mark.parametrize("form", [chunked, dense], ids=lambda form: form.__name__)
def test_forward_and_backward_beside_the_dense_form(benchmark, form: Callable[[MarginLoss, Tensor, Tensor], Tensor]):
    torch.manual_seed(0)
    loss = occmask.build_loss("cosface", embedding_dim=D, num_classes=C)
    embedding, label = torch.randn(N, D, requires_grad=True), torch.randint(0, C, (N,))

    def step() -> tuple[Tensor, tuple[Tensor, ...]]:
        value = form(loss, embedding, label)
        return value, torch.autograd.grad(value, (embedding, loss.weight))

    value, grads = benchmark.pedantic(step, rounds=5, warmup_rounds=1)
    other = dense(loss, embedding, label)
    torch.testing.assert_close(value, other, rtol=1e-5, atol=0)
    for a, b in zip(grads, torch.autograd.grad(other, (embedding, loss.weight)), strict=True):
        assert (a - b).norm() <= 1e-4 * b.norm()
