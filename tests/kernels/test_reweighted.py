"""The re-weighted log-sum-exp and the target cosine against the plain formula, their memory, edges and errors."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from occmask_kernels import margin_lse
from occmask_kernels.margin.reweighted import reweighted_lse, target_cosine

Reweight = Callable[[Tensor], Tensor]

REWEIGHTS: dict[str, Reweight] = {
    "as it is": lambda c: c,
    "curricular": lambda c: torch.where(c > 0.1, c * (0.3 + c), c),
    "raised": lambda c: torch.where(c > 0.1, 1.2 * c + 0.2, c),
    "unbounded": lambda c: 40 * c**3,
}


def cosines(embedding: Tensor, weight: Tensor) -> Tensor:
    return F.normalize(embedding, dim=1) @ F.normalize(weight, dim=1).t()


def own_class(label: Tensor, classes: int) -> Tensor:
    return F.one_hot(label.clamp(min=0), classes).bool() & (label >= 0)[:, None]


def dense(embedding: Tensor, weight: Tensor, label: Tensor, scale: float, reweight: Reweight) -> Tensor:
    logits = scale * reweight(cosines(embedding, weight))
    return torch.logsumexp(logits.masked_fill(own_class(label, len(weight)), -torch.inf), 1)


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


@given(
    n=st.integers(1, 7),
    c=st.integers(2, 23),
    d=st.integers(2, 9),
    chunk=st.integers(1, 30),
    scale=st.sampled_from([-3.0, 0.0, 1.0, 32.0, 64.0]),
    name=st.sampled_from(list(REWEIGHTS)),
    seed=st.integers(0, 999),
)
def test_values_and_gradients_equal_the_dense_formula_in_float64(n, c, d, chunk, scale, name, seed):
    embedding, weight, label = case(n, c, d, seed)
    up = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = reweighted_lse(embedding, weight, label, scale, REWEIGHTS[name], chunk=chunk)
    expected = dense(embedding, weight, label, scale, REWEIGHTS[name])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-11)
    for a, b in zip(
        torch.autograd.grad(found, (embedding, weight), up),
        torch.autograd.grad(expected, (embedding, weight), up),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8 * max(1.0, abs(scale)))


@given(n=st.integers(1, 7), c=st.integers(1, 9), d=st.integers(1, 9), seed=st.integers(0, 999))
def test_the_target_cosine_and_its_gradients_equal_the_dense_ones(n, c, d, seed):
    embedding, weight, label = case(n, c, d, seed)
    found = target_cosine(embedding, weight, label)
    expected = (cosines(embedding, weight) * own_class(label, c)).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad(found.square().sum(), (embedding, weight)),
        torch.autograd.grad(expected.square().sum(), (embedding, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 4, 11, 100])
@pytest.mark.parametrize("name", REWEIGHTS)
def test_gradcheck_with_duplicate_labels_and_a_label_elsewhere(name, chunk):
    embedding, weight, _ = case(5, 11, 4)
    label = torch.tensor([3, 3, -1, 10, 0])
    assert torch.autograd.gradcheck(
        lambda e, w: reweighted_lse(e, w, label, 4.0, REWEIGHTS[name], chunk=chunk), (embedding, weight)
    )
    assert torch.autograd.gradcheck(lambda e, w: target_cosine(e, w, label), (embedding, weight))


def test_unchanged_cosines_give_what_the_plain_op_gives():
    embedding, weight, label = case(6, 40, 5)
    log_neg, cosine = margin_lse(embedding, weight, label, 64.0, chunk=7)
    found = reweighted_lse(embedding, weight, label, 64.0, lambda c: c, chunk=7)
    torch.testing.assert_close(found, log_neg, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(target_cosine(embedding, weight, label), cosine, rtol=1e-13, atol=1e-13)


def test_what_the_function_holds_gets_no_gradient():
    embedding, weight, label = case(4, 9, 5)
    held = torch.full((4, 1), 0.3, dtype=torch.float64, requires_grad=True)
    found = reweighted_lse(embedding, weight, label, 8.0, lambda c: c + held, chunk=4)
    assert torch.autograd.grad(found.sum(), held, allow_unused=True, retain_graph=True) == (None,)
    torch.autograd.grad(found.sum(), (embedding, weight))


def test_no_tensor_reaches_rows_times_classes():
    n, c, d, chunk = 64, 4000, 8, 128
    embedding, weight, label = case(n, c, d, dtype=torch.float32)
    with Largest() as seen:
        log_neg = reweighted_lse(embedding, weight, label, 64.0, REWEIGHTS["raised"], chunk=chunk)
        forward = seen.numel
        (log_neg.sum() + target_cosine(embedding, weight, label).sum()).backward()
    assert forward <= max(n * chunk, c * d)
    assert seen.numel <= max(n * chunk, c * d) < n * c / 4
    with Largest() as seen:
        dense(embedding, weight, label, 64.0, REWEIGHTS["raised"])
    assert seen.numel >= n * c  # the recorder sees what it should


def test_only_vectors_are_kept_beside_the_inputs():
    embedding, weight, label = case(6, 50, 4)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        reweighted_lse(embedding, weight, label, 64.0, REWEIGHTS["raised"], chunk=8)
    beside = [t for t in kept if not any(t is x for x in (embedding, weight))]
    assert kept
    assert all(t.shape == (6,) for t in beside)


@given(cut=st.integers(1, 16), name=st.sampled_from(list(REWEIGHTS)), seed=st.integers(0, 99))
def test_two_halves_of_the_classes_add_up_to_the_whole(cut, name, seed):
    embedding, weight, label = case(6, 17, 5, seed)
    parts = [(weight[:cut], torch.where(label < cut, label, -1))]
    parts += [(weight[cut:], torch.where(label >= cut, label - cut, -1))]
    halves = [reweighted_lse(embedding, w, y, 32.0, REWEIGHTS[name]) for w, y in parts]
    whole = reweighted_lse(embedding, weight, label, 32.0, REWEIGHTS[name])
    found = torch.logaddexp(*halves)
    torch.testing.assert_close(found, whole, rtol=1e-12, atol=1e-12)
    cosine = sum(target_cosine(embedding, w, y) for w, y in parts)
    torch.testing.assert_close(cosine, target_cosine(embedding, weight, label), rtol=1e-12, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad(found.sum(), (embedding, weight)),
        torch.autograd.grad(whole.sum(), (embedding, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("scale", [64.0, 1e4, 1e30])
def test_any_scale_is_stable_in_float32_with_cosines_far_above_one(scale):
    embedding, weight, label = case(8, 40, 6, dtype=torch.float32)
    log_neg = reweighted_lse(embedding, weight, label, scale, REWEIGHTS["unbounded"], chunk=16)
    expected = dense(embedding.double(), weight.double(), label, scale, REWEIGHTS["unbounded"])
    torch.testing.assert_close(log_neg.double(), expected, rtol=1e-5, atol=0)
    grads = torch.autograd.grad(log_neg.sum(), (embedding, weight))
    assert all(g.isfinite().all() for g in grads)


def test_a_row_is_its_own_only_class():
    embedding, weight, _ = case(2, 1, 4)
    log_neg = reweighted_lse(embedding, weight, torch.tensor([0, -1]), 8.0, REWEIGHTS["raised"])
    assert log_neg[0] == -torch.inf
    assert log_neg[1].isfinite()
    loss = torch.logaddexp(log_neg, torch.zeros_like(log_neg))[0]
    assert loss == 0
    assert all((g == 0).all() for g in torch.autograd.grad(loss, (embedding, weight)))


def test_rows_without_length_have_cosine_zero_and_gradient_zero():
    embedding, weight, _ = case(3, 5, 4)
    with torch.no_grad():
        embedding[1] = 0
        weight[2] = 0
    label = torch.tensor([2, 0, 1])
    cosine = target_cosine(embedding, weight, label)
    log_neg = reweighted_lse(embedding, weight, label, 64.0, REWEIGHTS["raised"])
    assert cosine[:2].tolist() == [0, 0]
    assert log_neg[1].item() == pytest.approx(math.log(4))
    for value in (log_neg, cosine):
        d_embedding, d_weight = torch.autograd.grad(value.sum(), (embedding, weight), retain_graph=True)
        assert d_embedding.isfinite().all()
        assert d_weight.isfinite().all()
        assert (d_embedding[1] == 0).all()
        assert (d_weight[2] == 0).all()


def test_nan_stays_nan_in_its_own_row():
    embedding, weight, label = case(3, 9, 4)[0], case(3, 9, 4)[1], torch.tensor([0, 1, 2])
    with torch.no_grad():
        embedding[1, 2] = torch.nan
    log_neg = reweighted_lse(embedding, weight, label, 64.0, REWEIGHTS["raised"], chunk=4)
    assert log_neg.isnan().tolist() == target_cosine(embedding, weight, label).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_compute_in_float32(dtype):
    embedding, weight, label = case(4, 30, 8, dtype=torch.float32)
    low = [t.detach().to(dtype).requires_grad_() for t in (embedding, weight)]
    high = [t.detach().float().requires_grad_() for t in low]

    def both(e: Tensor, w: Tensor) -> Tensor:
        found = reweighted_lse(e, w, label, 64.0, REWEIGHTS["raised"], chunk=7), target_cosine(e, w, label)
        assert found[0].dtype == found[1].dtype == torch.float32
        return torch.stack(found)

    expected = both(*high)
    with torch.autocast("cpu", torch.bfloat16):
        found = both(*low)
        grads = torch.autograd.grad(found.sum(), low)
    assert torch.equal(found, expected)
    for a, b in zip(grads, torch.autograd.grad(expected.sum(), high), strict=True):
        assert a.dtype == dtype
        torch.testing.assert_close(a, b.to(dtype), rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_side_gets_no_gradient_and_the_other_the_same(frozen):
    sides, label = list(case(4, 9, 5)[:2]), torch.tensor([0, 1, 2, -1])
    expected = torch.autograd.grad(reweighted_lse(*sides, label, 8.0, REWEIGHTS["raised"]).sum(), sides)[1 - frozen]
    sides[frozen] = sides[frozen].detach()
    (found,) = torch.autograd.grad(reweighted_lse(*sides, label, 8.0, REWEIGHTS["raised"]).sum(), [sides[1 - frozen]])
    assert torch.equal(found, expected)


def test_an_empty_batch_gives_empty_results_and_zero_gradients():
    embedding, weight, _ = case(1, 5, 4)
    label = torch.zeros(0, dtype=torch.int64)
    log_neg = reweighted_lse(embedding[:0], weight, label, 64.0, REWEIGHTS["raised"])
    cosine = target_cosine(embedding[:0], weight, label)
    assert log_neg.shape == cosine.shape == (0,)
    (grad,) = torch.autograd.grad(log_neg.sum() + cosine.sum(), weight)
    assert (grad == 0).all()


def total(e: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return (reweighted_lse(e, w, y, 8.0, REWEIGHTS["raised"], chunk=4) - 8.0 * target_cosine(e, w, y)).sum()


def test_it_compiles_as_one_graph():
    embedding, weight, label = case(4, 11, 6)
    compiled = torch.compile(total, fullgraph=True, backend="aot_eager")
    found, expected = compiled(embedding, weight, label), total(embedding, weight, label)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    for a, b in zip(
        torch.autograd.grad(found, (embedding, weight)),
        torch.autograd.grad(expected, (embedding, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_where_labels_are_not_read_one_out_of_range_makes_its_row_nan():
    embedding, weight, _ = case(4, 5, 6)
    label = torch.tensor([0, 5, -2, -1])

    def both(e: Tensor, w: Tensor, y: Tensor) -> Tensor:
        return torch.stack([reweighted_lse(e, w, y, 8.0, REWEIGHTS["raised"]), target_cosine(e, w, y)])

    found = torch.compile(both, fullgraph=True, backend="aot_eager")(embedding, weight, label)
    assert found.isnan().tolist() == [[False, True, True, False]] * 2


E, W, Y = torch.randn(3, 4), torch.randn(5, 4), torch.tensor([0, 4, -1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((E, W, torch.tensor([0, 5, 1])), r"label 5 is out of range: with 5 classes give 0\.\.4, or -1"),
        ((E, W, torch.tensor([0, -2, 1])), "label -2 is out of range"),
        ((E, W[:, :3], Y), r"share D, but got \(3, 4\) and \(5, 3\)"),
        ((E[0], W, Y), "share D"),
        ((E, W[:0], Y), "no class"),
        ((E, W, Y[:2]), r"needs \(3,\)"),
        ((E, W, Y.float()), "integers"),
        ((E, W, Y >= 0), "integers"),
        ((E.long(), W, Y), "floating point"),
        ((E, W.to("meta"), Y), "one device"),
    ],
)
def test_bad_input_is_a_value_error_that_says_what_fits(arguments, message):
    with pytest.raises(ValueError, match=message):
        target_cosine(*arguments)
    with pytest.raises(ValueError, match=message):
        reweighted_lse(*arguments, 64.0, REWEIGHTS["raised"])


@pytest.mark.parametrize(
    ("scale", "reweight", "chunk", "message"),
    [
        (math.inf, lambda c: c, 4, "finite number"),
        (torch.tensor(64.0), lambda c: c, 4, "finite number"),
        (64.0, lambda c: c, 0, "at least 1"),
        (64.0, lambda c: c[:, :1], 4, r"returned \(3, 1\) torch.float32 for cosines \(3, 4\) torch.float32"),
        (64.0, lambda c: c.double(), 4, r"returned \(3, 4\) torch.float64"),
    ],
)
def test_a_scale_function_or_chunk_that_cannot_work_is_named(scale, reweight, chunk, message):
    with pytest.raises(ValueError, match=message):
        reweighted_lse(E, W, Y, scale, reweight, chunk=chunk)
