"""CurricularFace and MV-Softmax against their papers' formulas, written out on the dense logits."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import occmask
from occmask import MARGINS, ShapeError, Spec
from occmask.margins.loss import MarginLoss
from occmask.margins.reweighting import CurricularFace

SPECS = [
    Spec("curricularface"),
    Spec("curricularface", monotone=False, margin=0.3),
    Spec("mv_am_softmax"),
    Spec("mv_am_softmax", t=0.5, margin=0.1),
    Spec("mv_arc_softmax"),
    Spec("mv_arc_softmax", monotone=True, margin=1.0),
]


def build(spec: Spec | str, c: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> MarginLoss:
    torch.manual_seed(seed)
    return occmask.build_loss(spec, embedding_dim=d, num_classes=c).to(dtype)


def batch(b: int, c: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    embedding = 3 * torch.randn(b, d, generator=g, dtype=torch.float64)
    return embedding.requires_grad_(), torch.randint(0, c, (b,), generator=g)


def dense_loss(loss: MarginLoss, embedding: Tensor, label: Tensor, t: float) -> Tensor:
    """Both papers' way: all cosines in one matrix, the hard ones changed, the target's replaced; no chunk, no op."""
    options = MARGINS.options(loss.spec.name) | dict(loss.spec.options)
    cosine = F.normalize(embedding, dim=1) @ F.normalize(loss.weight, dim=1).t()  # (B, C)
    target = cosine.gather(1, label[:, None])  # (B, 1)
    m = options["margin"]
    if loss.spec.name == "mv_am_softmax":
        phi = target - m
    else:
        theta = torch.acos(target.clamp(-(1 - 1e-7), 1 - 1e-7))
        phi = torch.cos(theta + m)
        if options["monotone"]:
            phi = torch.where(theta > math.pi - m, target + math.cos(m) - 1, phi)
    hard = cosine > phi
    changed = cosine * (t + cosine) if loss.spec.name == "curricularface" else (t + 1) * cosine + t
    logits = torch.where(hard, changed, cosine).scatter(1, label[:, None], phi)
    return F.cross_entropy(loss.scale * logits, label)


def assert_same_gradients(found: Tensor, expected: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)
    for a, e in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(a, e, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
@given(
    b=st.integers(1, 8),
    c=st.integers(2, 20),
    d=st.integers(2, 12),
    chunk=st.integers(1, 25),
    seed=st.integers(0, 9999),
    known=st.floats(-0.5, 0.9),
)
def test_loss_and_gradients_equal_dense_cross_entropy_in_float64(spec, b, c, d, chunk, seed, known):
    loss, (embedding, label) = build(spec, c, d, seed), batch(b, c, d, seed)
    t = spec.options.get("t", 0.2)
    if spec.name == "curricularface":
        loss.margin.t.fill_(known)
        cosine = F.cosine_similarity(embedding, loss.weight[label]).mean().item()
        t = 0.99 * known + 0.01 * cosine  # renewed before it is used
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("occmask.margins.loss.DEFAULT_CHUNK", chunk)
        found = loss(embedding, label)
        assert_same_gradients(found, dense_loss(loss, embedding, label, t), embedding, loss.weight)


def test_curricularface_s_t_is_a_running_mean_of_the_target_cosine_that_moves_in_training_only():
    margin, t = CurricularFace().double(), 0.0
    assert margin.t.item() == 0
    for step in range(5):
        cosine = torch.tensor([0.1 * step, 0.4, -0.2], dtype=torch.float64)
        margin(cosine, cosine)
        t = 0.01 * (0.1 * step + 0.2) / 3 + 0.99 * t
        assert margin.t.item() == pytest.approx(t, rel=1e-12)
    margin.eval()
    margin(cosine, cosine)
    assert margin.t.item() == pytest.approx(t, rel=1e-12)
    margin.train()
    margin(torch.tensor([math.nan, 0.5], dtype=torch.float64), cosine)
    margin(cosine[:0], cosine[:0])
    assert margin.t.item() == pytest.approx(t, rel=1e-12)


def test_curricularface_lowers_hard_negatives_at_the_start_and_raises_them_at_the_end():
    margin, phi = CurricularFace(), torch.tensor([[0.2]])
    cosine = torch.tensor([[0.1, 0.2, 0.3, 0.6]])
    early = margin.reweight(cosine, phi)
    margin.t.fill_(0.8)
    late = margin.reweight(cosine, phi)
    torch.testing.assert_close(early, torch.tensor([[0.1, 0.2, 0.09, 0.36]]))
    torch.testing.assert_close(late, torch.tensor([[0.1, 0.2, 0.33, 0.84]]))


@given(cosine=st.floats(-1, 1), phi=st.floats(-1, 1), t=st.floats(0, 2))
def test_mv_softmax_never_lowers_a_negative(cosine, phi, t):
    margin = MARGINS.build(Spec("mv_am_softmax", t=t))
    found = margin.reweight(*torch.tensor([[[cosine]], [[phi]]], dtype=torch.float64)).item()
    assert found >= cosine - 1e-12
    assert found == cosine or cosine > phi


def test_two_batches_before_one_backward_keep_each_its_own_t():
    loss = build("curricularface", 9, 6, 0)
    loss.margin.t.fill_(0.5)
    (one, label), (other, other_label) = batch(5, 9, 6, 1), batch(5, 9, 6, 2)
    first = dense_loss(loss, one, label, 0.495 + 0.01 * F.cosine_similarity(one, loss.weight[label]).mean().item())
    found = loss(one, label)
    with torch.no_grad():
        for _ in range(20):
            loss(other, other_label)
    assert abs(loss.margin.t.item() - 0.5) > 0.05
    assert_same_gradients(found, first, one, loss.weight)


class Largest(TorchDispatchMode):
    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [tensor.numel() for tensor in tree_leaves(out) if isinstance(tensor, Tensor)]
        self.numel = max([self.numel, *sizes])
        return out


@pytest.mark.parametrize("name", ["curricularface", "mv_am_softmax", "mv_arc_softmax"])
def test_no_tensor_reaches_faces_times_classes(name):
    loss = build(name, 40_000, 4, 0, torch.float32)
    embedding, label = torch.randn(32, 4, requires_grad=True), torch.randint(0, 40_000, (32,))
    with Largest() as seen:
        loss(embedding, label).backward()
    assert 32 * 1024 <= seen.numel < 32 * 40_000 / 4


@pytest.mark.parametrize("spec", SPECS, ids=repr)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradients_are_finite_at_cosine_one_and_minus_one(spec, sign, dtype):
    loss = build(spec, 6, 4, 0, dtype)
    embedding = (sign * 5 * loss.weight.detach()).requires_grad_()
    value = loss(embedding, torch.arange(6))
    assert value.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, (embedding, loss.weight)))


@pytest.mark.parametrize("spec", SPECS[::2], ids=repr)
def test_float32_is_close_to_float64(spec):
    loss, (embedding, label) = build(spec, 300, 32, 0), batch(16, 300, 32, 0)
    exact = loss(embedding, label)
    exact_grads = torch.autograd.grad(exact, (embedding, loss.weight))
    low = build(spec, 300, 32, 0, torch.float32)
    low_embedding = embedding.detach().float().requires_grad_()
    found = low(low_embedding, label)
    assert found.item() == pytest.approx(exact.item(), rel=1e-5)
    for a, e in zip(torch.autograd.grad(found, (low_embedding, low.weight)), exact_grads, strict=True):
        assert (a.double() - e).norm() <= 1e-4 * e.norm()


@pytest.mark.parametrize("spec", SPECS[::2], ids=repr)
def test_they_compile_as_one_graph_and_learn_the_same_state(spec):
    torch.compiler.reset()  # what other tests compiled of the same code, with another scale
    (embedding, label), plain, other = batch(4, 9, 6, 0), build(spec, 9, 6, 0), build(spec, 9, 6, 0)
    found = torch.compile(other, fullgraph=True, backend="aot_eager")(embedding, label)
    assert_same_gradients(found, plain(embedding, label), embedding)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, rtol=1e-12, atol=1e-12)


def test_a_margin_registered_outside_the_library_re_weights_and_regularises():
    @MARGINS.register("test_softer_margin")
    class Softer:
        default_scale = 8.0

        def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
            return cosine - 0.1

        def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:
            assert not phi.requires_grad
            return torch.where(cosine > phi, cosine / 2 + phi / 2, cosine)

        def regulariser(self, norm: Tensor) -> Tensor:
            return 0.01 * norm

    loss, (embedding, label) = build("test_softer_margin", 7, 5, 0), batch(6, 7, 5, 0)
    cosine = F.normalize(embedding, dim=1) @ F.normalize(loss.weight, dim=1).t()
    phi = cosine.gather(1, label[:, None]) - 0.1
    logits = torch.where(cosine > phi, (cosine + phi.detach()) / 2, cosine).scatter(1, label[:, None], phi)
    expected = F.cross_entropy(8 * logits, label) + 0.01 * embedding.norm(dim=1).mean()
    assert_same_gradients(loss(embedding, label), expected, embedding, loss.weight)


def test_a_regulariser_of_another_shape_is_named():
    @MARGINS.register("test_column_regulariser")
    class Column:
        default_scale = 8.0

        def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
            return cosine

        def regulariser(self, norm: Tensor) -> Tensor:
            return norm[:, None]

    loss, (embedding, label) = build("test_column_regulariser", 7, 5, 0), batch(2, 7, 5, 0)
    with pytest.raises(ShapeError, match=r"'test_column_regulariser' returned \(2, 1\); regulariser is \(2,\)"):
        loss(embedding, label)
