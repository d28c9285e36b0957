"""The margin loss as others compute it, and as we do: each from a batch to a loss that has a gradient.

Two plain forms are written here from the formulas; the packages are called as their authors say.  Liger and
cut-cross-entropy have neither normalisation nor margin: they are given rows that are normalised and scaled already, so
that theirs is the easier head.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from occmask_kernels import backend, margin_lse

from .record import installed
from .scenes import MARGIN, SCALE, Scene, bare_head

EPS = 1e-12
LIGER, CCE = "liger-kernel==0.8.5", "cut-cross-entropy==25.1.1"  # installed by hand, see docs/decisions/006
EASIER = "no normalisation, no margin"
AUTO = 'cache="auto"'

Loss = Callable[[], Tensor]


class Prepared(NamedTuple):
    loss: Loss
    leaves: tuple[Tensor, Tensor]  # what gets a gradient: embedding and weight


class Competitor(NamedTuple):
    """`prepare` may raise anything where the implementation does not run."""

    name: str
    prepare: Callable[[Scene], Prepared]
    is_ours: bool = False
    has_margin: bool = True
    note: str = ""
    package: str = ""  # the requirement it comes from
    precision: str = "ieee"  # of the products' operands
    cached: bool = True  # nothing is computed twice

    @property
    def missing(self) -> str:
        """Why it cannot run anywhere here, or nothing."""
        if self.package and installed(self.package.partition("==")[0]) is None:
            return f"not installed: pip install --no-deps {self.package}"
        return ""


def ours(scene: Scene, *, precision: str | None, cache: Any, plain: bool = False) -> Prepared:
    """`margin_lse`, and the margin on its vectors."""

    def loss() -> Tensor:
        with backend("torch" if plain else "auto"):
            log_neg, cos_target = margin_lse(*scene, SCALE, precision=precision, cache=cache)
        return F.softplus(log_neg - SCALE * (cos_target - MARGIN)).mean()

    return Prepared(loss, scene.leaves)


def logits(scene: Scene, dtype: torch.dtype) -> Tensor:
    """(N, C) float32, from operands of `dtype`, without the margin.

    The most frugal of the forms we tried: the scale is on the embedding and the weights are multiplied by one over
    their length.  With `F.normalize`, which divides, a step needs twice the memory and takes half again as long.
    """
    embedding, weight, _ = scene
    unit = weight * weight.norm(dim=1, keepdim=True).clamp_min(EPS).reciprocal()
    return F.linear((SCALE * F.normalize(embedding)).to(dtype), unit.to(dtype)).float()  # logits leave in `dtype`


def eager(scene: Scene, dtype: torch.dtype = torch.float32) -> Prepared:
    """Logits, the margin in place on the own one, `F.cross_entropy`."""
    rows = torch.arange(len(scene.label), device=scene.label.device)

    def loss() -> Tensor:
        scaled = logits(scene, dtype)
        scaled[rows, scene.label] -= SCALE * MARGIN
        return F.cross_entropy(scaled, scene.label)

    return Prepared(loss, scene.leaves)


def compiled(scene: Scene, dtype: torch.dtype = torch.float32) -> Prepared:
    """Eager with the margin as a comparison, which the compiler fuses; an assignment by index it does not."""
    classes = torch.arange(scene.weight.shape[0], device=scene.label.device)

    def loss() -> Tensor:
        own = scene.label[:, None] == classes
        scaled = logits(scene, dtype)
        return F.cross_entropy(torch.where(own, scaled - SCALE * MARGIN, scaled), scene.label)

    return Prepared(torch.compile(loss, fullgraph=True, dynamic=False), scene.leaves)


class _MaxSumCrossEntropy(torch.autograd.Function):
    """Softmax cross entropy by maximum and sum, in place, with a matrix of ones and zeros in the backward pass."""

    @staticmethod
    def forward(ctx: Any, scaled: Tensor, label: Tensor) -> Tensor:  # (N, C), (N,) -> ()
        scaled = scaled - scaled.amax(dim=1, keepdim=True)
        scaled.exp_()
        scaled.div_(scaled.sum(dim=1, keepdim=True))
        ctx.save_for_backward(scaled, label)
        return scaled.gather(1, label[:, None]).clamp_min(1e-30).log().mean().neg()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        probability, label = ctx.saved_tensors
        ones = torch.zeros_like(probability)
        ones.scatter_(1, label[:, None], 1.0)
        return (probability - ones).div_(len(label)).mul_(grad), None


def insightface_style(scene: Scene, dtype: torch.dtype = torch.float32) -> Prepared:
    """How InsightFace's arcface_torch computes it on one device: product in `dtype`, then float32, clamp, margin."""
    embedding, weight, label = scene
    rows = torch.arange(len(label), device=label.device)

    def loss() -> Tensor:
        cosine = F.linear(F.normalize(embedding).to(dtype), F.normalize(weight).to(dtype)).float().clamp(-1, 1)
        cosine[rows, label] -= MARGIN
        value: Tensor = _MaxSumCrossEntropy.apply(cosine * SCALE, label)
        return value

    return Prepared(loss, scene.leaves)


def _bare(scene: Scene) -> Scene:
    bare = bare_head(scene)
    if not scene.label.is_cuda:
        return bare
    embedding, weight = (t.detach().bfloat16().requires_grad_() for t in bare.leaves)
    return Scene(embedding, weight, bare.label)


def liger(scene: Scene) -> Prepared:
    module = importlib.import_module("liger_kernel.transformers.fused_linear_cross_entropy")
    embedding, weight, label = _bare(scene)
    head = module.LigerFusedLinearCrossEntropyLoss()
    return Prepared(lambda: head(weight, embedding, label), (embedding, weight))


def cut_cross_entropy(scene: Scene, **options: Any) -> Prepared:
    head = importlib.import_module("cut_cross_entropy").linear_cross_entropy
    embedding, weight, label = _bare(scene)
    return Prepared(lambda: head(embedding, weight, label, **options), (embedding, weight))


def everyone(device: str) -> Iterator[Competitor]:
    """In the order of the tables: ours first, then the plain forms, then the packages."""
    yield from _everyone_on_cuda() if device == "cuda" else _everyone_on_cpu()


def _everyone_on_cpu() -> Iterator[Competitor]:
    yield Competitor("ours", partial(ours, precision=None, cache=None), is_ours=True)
    yield Competitor("ours, no cache", partial(ours, precision=None, cache=0), is_ours=True, cached=False)
    yield Competitor("ours, cached", partial(ours, precision=None, cache="auto"), is_ours=True, note=AUTO)
    yield Competitor("eager", eager)
    yield Competitor("insightface style", insightface_style)
    yield Competitor("torch.compile", compiled)
    yield Competitor("liger", liger, has_margin=False, note=EASIER, package=LIGER)
    yield Competitor("cce", cut_cross_entropy, has_margin=False, note=EASIER, package=CCE)
    in_torch = partial(cut_cross_entropy, impl="torch_compile")
    yield Competitor("cce torch_compile", in_torch, has_margin=False, note=EASIER, package=CCE)


def _everyone_on_cuda() -> Iterator[Competitor]:
    for precision in ("fp16", "bf16", "tf32", "ieee"):
        for cache in (0, "auto") if precision != "fp16" else (0,):  # whose "auto" is no cache
            prepare = partial(ours, precision=precision, cache=cache)
            name = f"ours {precision}" + (", cached" if cache else "")
            yield Competitor(
                name, prepare, is_ours=True, precision=precision, cached=bool(cache), note=AUTO if cache else ""
            )
    plain = partial(ours, precision="ieee", cache=0, plain=True)
    yield Competitor("ours in plain torch", plain, is_ours=True, cached=False)
    yield Competitor("eager fp32", eager)
    yield Competitor("eager bf16", partial(eager, dtype=torch.bfloat16), precision="bf16")
    yield Competitor("insightface style", partial(insightface_style, dtype=torch.float16), precision="fp16")
    yield Competitor("torch.compile fp32", compiled)
    yield Competitor("torch.compile bf16", partial(compiled, dtype=torch.bfloat16), precision="bf16")
    exact = partial(cut_cross_entropy, filter_eps=None)
    for name, head, package in (("liger", liger, LIGER), ("cce", cut_cross_entropy, CCE), ("cce exact", exact, CCE)):
        yield Competitor(name, head, has_margin=False, note=f"{EASIER}, bf16", package=package, precision="bf16")
