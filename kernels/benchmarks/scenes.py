"""Made-up batches of a margin loss, and what float64 says about them."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .measure import relative_error

SCALE, MARGIN = 64.0, 0.4  # CosFace: phi(cos) = cos - MARGIN
EMBEDDING_LENGTH = 20.0  # about what a network without a last normalisation gives


class Scene(NamedTuple):
    """A batch; both matrices want a gradient and neither has rows of length 1."""

    embedding: Tensor  # (N, D)
    weight: Tensor  # (C, D)
    label: Tensor  # (N,)

    @property
    def leaves(self) -> tuple[Tensor, Tensor]:
        return self.embedding, self.weight


class Truth(NamedTuple):
    """In float64."""

    loss: Tensor  # ()
    embedding: Tensor  # (N, D) gradient
    weight: Tensor  # (C, D) gradient

    def errors(self, loss: Tensor, gradients: tuple[Tensor, ...] = ()) -> dict[str, float]:
        """Of a loss, and of its gradients if they are given."""
        named = zip(("loss", "embedding", "weight"), (loss, *gradients), self, strict=False)
        return {name: relative_error(found, true) for name, found, true in named}


def scene(rows: int, classes: int, dim: int, *, cosine: float, device: str = "cpu", seed: int = 0) -> Scene:
    """Random directions, each embedding at about `cosine` from the weight of its class."""
    generator = torch.Generator(device).manual_seed(seed)
    weight = torch.randn(classes, dim, generator=generator, device=device).mul_(0.05)
    label = torch.randint(0, classes, (rows,), generator=generator, device=device)
    noise = F.normalize(torch.randn(rows, dim, generator=generator, device=device))
    length = EMBEDDING_LENGTH * (0.5 + torch.rand(rows, 1, generator=generator, device=device))
    embedding = (cosine * F.normalize(weight[label]) + math.sqrt(1 - cosine**2) * noise) * length
    return Scene(embedding.requires_grad_(), weight.requires_grad_(), label)


def bare_head(of: Scene) -> Scene:
    """The same batch with both sides normalised and the scale inside: what a head without either is given."""
    embedding, weight = (F.normalize(t.detach()) for t in of.leaves)
    return Scene(embedding.mul_(SCALE).requires_grad_(), weight.requires_grad_(), of.label)


def margin_truth(of: Scene) -> Truth:
    """CosFace by its formula (Wang et al. 2018, eq. 4)."""
    embedding, weight = (t.detach().double().requires_grad_() for t in of.leaves)
    cosine = F.normalize(embedding) @ F.normalize(weight).t()
    logits = SCALE * cosine.scatter_add(1, of.label[:, None], cosine.new_full((len(of.label), 1), -MARGIN))
    loss = F.cross_entropy(logits, of.label)
    return Truth(loss.detach(), *torch.autograd.grad(loss, (embedding, weight)))


def bare_truth(of: Scene) -> Truth:
    """Softmax cross entropy of the bare head of a batch."""
    embedding, weight = (t.detach().double().requires_grad_() for t in bare_head(of).leaves)
    loss = F.cross_entropy(embedding @ weight.t(), of.label)
    return Truth(loss.detach(), *torch.autograd.grad(loss, (embedding, weight)))
