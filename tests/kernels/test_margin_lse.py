"""The class-chunked log-sum-exp against the plain formula, its memory, its edges and its errors."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from occmask_kernels import margin_lse
from occmask_kernels.margin import reference


def dense(embedding: Tensor, weight: Tensor, label: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    cosine = F.normalize(embedding, dim=1) @ F.normalize(weight, dim=1).t()
    own = F.one_hot(label.clamp(min=0), weight.shape[0]).bool() & (label >= 0)[:, None]
    return torch.logsumexp((scale * cosine).masked_fill(own, -torch.inf), 1), (cosine * own).sum(1)


def case(n: int, c: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    embedding = torch.randn(n, d, generator=g, dtype=dtype).requires_grad_()
    weight = torch.randn(c, d, generator=g, dtype=dtype).requires_grad_()
    return embedding, weight, torch.randint(-1, c, (n,), generator=g)


class Largest(TorchDispatchMode):
    """The largest tensor any operation makes, the ones inside the op's forward and backward included."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


@settings(deadline=None)
@given(
    n=st.integers(1, 7),
    c=st.integers(2, 23),
    d=st.integers(1, 9),
    chunk=st.integers(1, 30),
    scale=st.sampled_from([-3.0, 0.0, 1.0, 30.0, 64.0, 1000.0]),
    seed=st.integers(0, 999),
)
def test_values_and_gradients_equal_the_dense_formula_in_float64(n, c, d, chunk, scale, seed):
    embedding, weight, label = case(n, c, d, seed)
    up = torch.randn(2, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found, expected = margin_lse(embedding, weight, label, scale, chunk=chunk), dense(embedding, weight, label, scale)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad(found, (embedding, weight), tuple(up)),
        torch.autograd.grad(expected, (embedding, weight), tuple(up)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * max(1.0, abs(scale)))


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_gradcheck_with_duplicate_labels_and_a_label_elsewhere(chunk):
    embedding, weight, _ = case(5, 11, 4)
    label = torch.tensor([3, 3, -1, 10, 0])
    assert torch.autograd.gradcheck(lambda e, w: margin_lse(e, w, label, 8.0, chunk=chunk), (embedding, weight))


def test_no_tensor_reaches_rows_times_classes():
    """Seen from inside the operator, which a dispatch mode takes for one operation."""
    n, c, d, chunk = 64, 4000, 8, 128
    embedding, weight, label = (t.detach() for t in case(n, c, d, dtype=torch.float32))
    inputs, options = (embedding, weight, label, torch.tensor(64.0), None), {"precision": "ieee", "chunk": chunk}
    with Largest() as seen:
        found = reference.forward(*inputs, **options, bounded=True, cached=0, ranked=True)
    assert seen.numel <= max(n * chunk, c * d)
    with Largest() as seen:
        up = torch.ones(n), torch.ones(n)
        reference.backward(*up, *inputs, found, **options, wants_weight=True)
    assert seen.numel <= max(n * chunk, c * d) < n * c / 4
    with Largest() as seen:
        dense(embedding, weight, label, 64.0)
    assert seen.numel >= n * c  # the recorder sees what it should


def test_only_vectors_are_kept_beside_the_inputs():
    embedding, weight, label = case(6, 50, 4)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        margin_lse(embedding, weight, label, 64.0, chunk=8, cache=0)
    beside = [t for t in kept if not any(t is x for x in (embedding, weight))]
    assert kept
    assert all(t.numel() <= 6 for t in beside)


@settings(deadline=None)
@given(cut=st.integers(1, 16), seed=st.integers(0, 99))
def test_two_halves_of_the_classes_add_up_to_the_whole(cut, seed):
    embedding, weight, label = case(6, 17, 5, seed)
    whole = margin_lse(embedding, weight, label, 64.0)
    first = margin_lse(embedding, weight[:cut], torch.where(label < cut, label, -1), 64.0)
    second = margin_lse(embedding, weight[cut:], torch.where(label >= cut, label - cut, -1), 64.0)
    halves = torch.logaddexp(first[0], second[0]), first[1] + second[1]
    for a, b in zip(halves, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad([h.sum() for h in halves], (embedding, weight)),
        torch.autograd.grad([w.sum() for w in whole], (embedding, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("scale", [64.0, 1e4, 1e30])
def test_any_scale_is_stable_in_float32(scale):
    embedding, weight, label = case(8, 40, 6, dtype=torch.float32)
    log_neg, _ = margin_lse(embedding, weight, label, scale, chunk=16)
    expected, _ = dense(embedding.double(), weight.double(), label, scale)
    torch.testing.assert_close(log_neg.double(), expected, rtol=2e-6, atol=0)
    grads = torch.autograd.grad(log_neg.sum(), (embedding, weight))
    assert all(g.isfinite().all() for g in grads)


def test_a_row_is_its_own_only_class():
    embedding, weight, _ = case(2, 1, 4)
    log_neg, cos_target = margin_lse(embedding, weight, torch.tensor([0, -1]), 8.0)
    assert log_neg[0] == -torch.inf
    assert log_neg[1].item() == pytest.approx(8.0 * F.cosine_similarity(embedding, weight)[1].item())
    loss = -F.logsigmoid(8.0 * (cos_target - 0.35) - log_neg)
    assert loss[0] == 0
    grads = torch.autograd.grad(loss[0], (embedding, weight))
    assert all((g == 0).all() for g in grads)


def test_rows_without_length_have_cosine_zero_and_gradient_zero():
    embedding, weight, _ = case(3, 5, 4)
    with torch.no_grad():
        embedding[1] = 0
        weight[2] = 0
    label = torch.tensor([2, 0, 1])
    log_neg, cos_target = margin_lse(embedding, weight, label, 64.0)
    assert cos_target[:2].tolist() == [0, 0]
    assert log_neg[1].item() == pytest.approx(math.log(4))
    d_embedding, d_weight = torch.autograd.grad(log_neg.sum() + cos_target.sum(), (embedding, weight))
    assert d_embedding.isfinite().all()
    assert d_weight.isfinite().all()
    assert (d_embedding[1] == 0).all()
    assert (d_weight[2] == 0).all()
    assert (d_embedding[[0, 2]] != 0).all()


def test_nan_stays_nan_in_its_own_row():
    embedding, weight, _ = case(3, 9, 4)
    with torch.no_grad():
        embedding[1, 2] = torch.nan
    log_neg, cos_target = margin_lse(embedding, weight, torch.tensor([0, 1, 2]), 64.0, chunk=4)
    assert log_neg.isnan().tolist() == cos_target.isnan().tolist() == [False, True, False]
    with torch.no_grad():
        weight[8] = torch.nan
    assert margin_lse(embedding, weight, torch.tensor([0, 1, 2]), 64.0, chunk=4)[0].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_are_computed_in_float32(dtype):
    embedding, weight, label = case(4, 30, 8, dtype=torch.float32)
    low = embedding.detach().to(dtype).requires_grad_(), weight.detach().to(dtype).requires_grad_()
    high = low[0].detach().float().requires_grad_(), low[1].detach().float().requires_grad_()
    found, expected = margin_lse(*low, label, 64.0), margin_lse(*high, label, 64.0)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)
    for a, b in zip(
        torch.autograd.grad([f.sum() for f in found], low),
        torch.autograd.grad([e.sum() for e in expected], high),
        strict=True,
    ):
        assert torch.equal(a, b.to(dtype))


def test_autocast_changes_nothing():
    embedding, weight, label = case(4, 30, 8, dtype=torch.float32)
    plain = torch.stack(margin_lse(embedding, weight, label, 64.0))
    plain_grads = torch.autograd.grad(plain.sum(), (embedding, weight))
    with torch.autocast("cpu", torch.bfloat16):
        cast = torch.stack(margin_lse(embedding, weight, label, 64.0))
        cast_grads = torch.autograd.grad(cast.sum(), (embedding, weight))
    assert torch.equal(plain, cast)
    assert all(torch.equal(a, b) for a, b in zip(plain_grads, cast_grads, strict=True))


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_side_gets_no_gradient_and_the_other_the_same(frozen):
    sides, label = list(case(4, 9, 5)[:2]), torch.tensor([0, 1, 2, -1])
    expected = torch.autograd.grad(margin_lse(*sides, label, 8.0)[0].sum(), sides)[1 - frozen]
    sides[frozen] = sides[frozen].detach()
    (found,) = torch.autograd.grad(margin_lse(*sides, label, 8.0)[0].sum(), [sides[1 - frozen]])
    assert torch.equal(found, expected)


def test_strided_inputs_and_int32_labels_give_the_same():
    embedding, weight, label = case(6, 20, 5)
    wide = torch.randn(20, 10, dtype=torch.float64)
    wide[:, ::2] = weight.detach()
    found = margin_lse(embedding.detach().t().contiguous().t(), wide[:, ::2], label.int(), 64.0, chunk=7)
    for a, b in zip(found, margin_lse(embedding, weight, label, 64.0, chunk=7), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


def test_an_empty_batch_gives_empty_results_and_zero_gradients():
    embedding, weight, _ = case(1, 5, 4)
    log_neg, cos_target = margin_lse(embedding[:0], weight, torch.zeros(0, dtype=torch.int64), 64.0)
    assert log_neg.shape == cos_target.shape == (0,)
    (grad,) = torch.autograd.grad(log_neg.sum() + cos_target.sum(), weight)
    assert (grad == 0).all()


def test_it_compiles_as_one_graph():
    embedding, weight, label = case(4, 11, 6)

    def total(e: Tensor, w: Tensor, y: Tensor) -> Tensor:
        log_neg, cos_target = margin_lse(e, w, y, 8.0, chunk=4)
        return (log_neg - 8.0 * cos_target).sum()

    compiled = torch.compile(total, fullgraph=True, backend="aot_eager")
    found, expected = compiled(embedding, weight, label), total(embedding, weight, label)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    for a, b in zip(
        torch.autograd.grad(found, (embedding, weight)),
        torch.autograd.grad(expected, (embedding, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


E, W, Y = torch.randn(3, 4), torch.randn(5, 4), torch.tensor([0, 4, -1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((E, W, torch.tensor([0, 5, 1]), 64.0), r"label 5 is out of range: with 5 classes give 0\.\.4, or -1"),
        ((E, W, torch.tensor([0, -2, 1]), 64.0), "label -2 is out of range"),
        ((E, W[:, :3], Y, 64.0), r"share D, but got \(3, 4\) and \(5, 3\)"),
        ((E[0], W, Y, 64.0), "share D"),
        ((E, W[:0], Y, 64.0), "no class"),
        ((E, W, Y[:2], 64.0), r"needs \(3,\)"),
        ((E, W, Y.float(), 64.0), "integers"),
        ((E, W, Y >= 0, 64.0), "integers"),
        ((E.long(), W, Y, 64.0), "floating point"),
        ((E, W.to("meta"), Y, 64.0), "one device"),
        ((E, W, Y, float("inf")), "finite number"),
        ((E, W, Y, torch.tensor(torch.nan)), "scale is finite"),
        ((E, W, Y, torch.tensor([64.0])), r"one float, shape \(\)"),
        ((E, W, Y, True), "finite number"),
    ],
)
def test_bad_input_is_a_value_error_that_says_what_fits(arguments, message):
    with pytest.raises(ValueError, match=message):
        margin_lse(*arguments)


def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        margin_lse(E, W, Y, 64.0, chunk=0)
