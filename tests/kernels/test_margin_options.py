"""What `margin_lse` can do beside its plain call: scale gradient, sampled classes, tile cache, rank, compilers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from occmask_kernels import backend, margin_lse, margin_lse_and_rank
from occmask_kernels._dispatch import INTERPRET
from occmask_kernels.margin import op


def case(n: int, c: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    embedding = torch.randn(n, d, generator=g, dtype=dtype).requires_grad_()
    weight = torch.randn(c, d, generator=g, dtype=dtype).requires_grad_()
    return embedding, weight, torch.randint(-1, c, (n,), generator=g)


def total(log_neg: Tensor, cosine: Tensor) -> Tensor:
    """Something whose gradient differs from row to row and reaches both."""
    return (log_neg * torch.linspace(1, 2, len(log_neg)).to(log_neg)).sum() - 5 * cosine.square().sum()


@pytest.mark.parametrize("chunk", [1, 4, 100])
@pytest.mark.parametrize("value", [8.0, -3.0, 300.0])
def test_the_scale_gets_its_gradient(chunk, value):
    embedding, weight, label = case(5, 11, 4)
    scale = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda e, w, s: margin_lse(e, w, label, s, chunk=chunk), (embedding, weight, scale), eps=1e-7, atol=1e-4
    )


def test_a_scale_that_is_a_tensor_equals_the_number():
    embedding, weight, label = case(5, 11, 4)
    found, expected = (
        margin_lse(embedding, weight, label, torch.tensor(64.0)),
        margin_lse(embedding, weight, label, 64.0),
    )
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@settings(max_examples=60)
@given(
    n=st.integers(1, 7),
    c=st.integers(1, 40),
    chunk=st.integers(1, 30),
    cache=st.sampled_from([1, 300, 900, 10**9, "auto"]),
    seed=st.integers(0, 999),
)
def test_a_cache_of_any_size_changes_nothing(n, c, chunk, cache, seed):
    embedding, weight, label = case(n, c, 5, seed)
    plain, cached = (margin_lse(embedding, weight, label, 30.0, chunk=chunk, cache=size) for size in (0, cache))
    assert all(torch.equal(a, b) for a, b in zip(plain, cached, strict=True))
    for a, b in zip(
        torch.autograd.grad(total(*plain), (embedding, weight)),
        torch.autograd.grad(total(*cached), (embedding, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def tile_widths(n: int, c: int, dtype: torch.dtype = torch.float32, **options) -> list[int]:
    """Classes of every tile that a forward pass keeps."""
    embedding, weight, label = case(n, c, 4, dtype=dtype)
    tensors: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: tensors.append(t) or t, lambda t: t):
        margin_lse(embedding, weight, label, 30.0, **options)
    return [t.shape[1] for t in tensors if t.ndim == 2 and t.shape[0] == n and t.data_ptr() != embedding.data_ptr()]


@pytest.mark.parametrize(
    ("options", "widths"),
    [
        ({"cache": 0}, []),
        ({"cache": 6 * 4 * 20}, [8, 8]),  # whole chunks of 8
        ({"cache": 10**6}, [8] * 5 + [3]),
        ({"cache": "auto"}, [8] * 3),  # the bytes of the gradient: 43 * 4 floats hold 28 classes
        ({"cache": "auto", "dtype": torch.float64}, [8]),
        ({"cache": "auto", "precision": "fp16"}, []),
        ({"cache": 10**6, "precision": "bf16"}, [8] * 5 + [3]),
        ({}, [8] * 5 + [3]),
        ({"precision": "bf16"}, []),
    ],
)
def test_the_cache_holds_whole_chunks_of_classes_within_its_bytes(options, widths):
    assert tile_widths(6, 43, chunk=8, **options) == widths


def test_unasked_no_more_is_kept_than_32_mebibytes():
    widths = tile_widths(700, 30_000)
    assert len(widths) > 1
    assert 2**24 < 700 * 4 * sum(widths) <= 2**25 < 700 * 4 * 30_000


def test_a_scale_beyond_the_bound_is_not_cached_and_stays_right():
    embedding, weight, label = case(4, 30, 5, dtype=torch.float32)
    a, b = (margin_lse(embedding, weight, label, 500.0, cache=cache)[0] for cache in (0, 10**9))
    assert torch.equal(a, b)
    assert a.isfinite().all()


@settings(max_examples=60)
@given(n=st.integers(1, 7), c=st.integers(2, 30), chunk=st.integers(1, 33), seed=st.integers(0, 999))
def test_sampled_classes_equal_their_rows_alone_and_leave_the_others_no_gradient(n, c, chunk, seed):
    embedding, weight, label = case(n, c, 5, seed)
    g = torch.Generator().manual_seed(seed)
    classes = torch.randperm(c, generator=g)[: 1 + seed % c].sort().values
    among = torch.full((c + 1,), -1)
    among[classes] = torch.arange(len(classes))
    found = margin_lse(embedding, weight, label, 30.0, classes=classes, chunk=chunk)
    expected = margin_lse(embedding, weight[classes], among[label], 30.0, chunk=chunk)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    loss = [F.softplus(r[0].nan_to_num(neginf=-1e3) - 30 * r[1]).sum() for r in (found, expected)]
    a, b = (torch.autograd.grad(x, (embedding, weight)) for x in loss)
    assert a[1].is_sparse
    assert torch.equal(a[1].coalesce().indices()[0], classes)
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1].to_dense(), b[1])


def test_the_sparse_gradient_moves_only_the_sampled_rows():
    embedding, weight, label = case(4, 12, 5)
    before, classes = weight.detach().clone(), torch.tensor([1, 4, 9])
    optimiser = torch.optim.SGD([weight], lr=1.0)
    margin_lse(embedding, weight, label, 8.0, classes=classes)[0].sum().backward()
    optimiser.step()
    moved = (weight.detach() != before).any(dim=1)
    assert moved.nonzero()[:, 0].tolist() == [1, 4, 9]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (torch.tensor([1, 1, 2]), r"without repeats; torch.unique\(classes\)"),
        (torch.tensor([2, 1]), "sorted"),
        (torch.tensor([0, 5]), r"class 5 is out of range: weight has rows 0\.\.4"),
        (torch.tensor([-1, 2]), "class -1"),
        (torch.tensor([0.0, 1.0]), "torch.int64"),
        (torch.tensor([], dtype=torch.int64), "at least 1"),
        (torch.tensor([[1]]), r"\(M,\)"),
    ],
)
def test_classes_that_are_no_subset_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        margin_lse(torch.ones(2, 3), torch.ones(5, 3), torch.tensor([0, 1]), 8.0, classes=classes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, "precision is one of fp16, bf16, tf32, ieee or None, not 'fp8'"),
        ({"cache": -1}, "'auto' or a number of bytes"),
        ({"cache": "all"}, "'auto' or a number of bytes"),
        ({"cache": 1.5}, "'auto' or a number of bytes"),
        ({"chunk": 0}, "at least 1"),
    ],
)
def test_settings_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message) as error:
        margin_lse(torch.ones(2, 3), torch.ones(5, 3), torch.tensor([0, 1]), 8.0, **options)
    assert "\n" not in str(error.value)


@settings(max_examples=60)
@given(n=st.integers(1, 7), c=st.integers(1, 30), chunk=st.integers(1, 33), seed=st.integers(0, 999))
def test_the_rank_counts_the_other_classes_of_higher_cosine(n, c, chunk, seed):
    embedding, weight, label = case(n, c, 5, seed)
    log_neg, cosine, rank = margin_lse_and_rank(embedding, weight, label, 30.0, chunk=chunk)
    cosines = F.normalize(embedding) @ F.normalize(weight).t()
    own = F.one_hot(label.clamp(min=0), c).bool() & (label >= 0)[:, None]
    assert rank.dtype == torch.int64
    assert torch.equal(rank, ((cosines > cosine[:, None]) & ~own).sum(1))
    plain = margin_lse(embedding, weight, label, 30.0, chunk=chunk)
    assert torch.equal(log_neg, plain[0])
    assert torch.equal(cosine, plain[1])


def test_a_spoilt_row_is_never_right_and_a_rank_needs_a_positive_scale():
    embedding, weight, _ = case(2, 6, 4)
    with torch.no_grad():
        embedding[0] = torch.nan
    assert margin_lse_and_rank(embedding, weight, torch.tensor([0, 1]), 8.0)[2][0] > 0
    with pytest.raises(ValueError, match="positive scale"):
        margin_lse_and_rank(embedding, weight, torch.tensor([0, 1]), -8.0)


@pytest.mark.parametrize(("cached", "ranked", "sampled"), [(0, False, False), (16, True, False), (0, False, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_operators_keep_torch_s_rules(cached, ranked, sampled, dtype):
    embedding, weight, label = case(5, 16, 4, dtype=dtype)
    scale = torch.tensor(8.0, dtype=dtype, requires_grad=True)
    classes = torch.arange(16) if sampled else None
    weight = weight.detach() if sampled else weight  # its gradient would be sparse, which opcheck cannot compare
    arguments = (embedding, weight, label, scale, classes, "ieee", False, True, cached, ranked, True, 7)
    torch.library.opcheck(op.margin_lse, arguments)
    found = op.margin_lse(*arguments)
    grads = torch.ones(5, dtype=dtype), torch.ones(5, dtype=dtype)
    detached = [t if t is None else t.detach() for t in (embedding, weight, label, scale, classes)]
    saved = [found[0].detach(), found[1].detach(), [t.detach() for t in found[3]], *(t.detach() for t in found[4:])]
    torch.library.opcheck(op.margin_lse_backward, (*grads, *detached, *saved, "ieee", False, 7, True))


@pytest.mark.slow
def test_inductor_compiles_it_as_one_graph_with_two_scales():
    embedding, weight, label = case(4, 11, 6, dtype=torch.float32)

    def loss(e: Tensor, w: Tensor, scale: float) -> Tensor:
        log_neg, cosine = margin_lse(F.normalize(e) * 2, w, label, scale)
        return F.softplus(log_neg - scale * (cosine - 0.35)).mean()

    compiled = torch.compile(loss, fullgraph=True)
    for scale in (8.0, 16.0):
        found, expected = compiled(embedding, weight, scale), loss(embedding, weight, scale)
        torch.testing.assert_close(found, expected)
        for a, b in zip(
            torch.autograd.grad(found, (embedding, weight)),
            torch.autograd.grad(expected, (embedding, weight)),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_torch_s_global_precision_changes_nothing():
    embedding, weight, label = case(64, 300, 128, dtype=torch.float32)
    before = torch.get_float32_matmul_precision()
    try:
        outcomes = []
        for setting in ("highest", "medium"):  # "medium" lets float32 products run in bf16
            torch.set_float32_matmul_precision(setting)
            found = margin_lse(embedding, weight, label, 64.0)
            outcomes.append((*found, *torch.autograd.grad(total(*found), (embedding, weight))))
            assert torch.get_float32_matmul_precision() == setting
    finally:
        torch.set_float32_matmul_precision(before)
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


def allocated(work) -> int:
    """The largest single allocation in bytes, those inside an opaque operator included."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    memory = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    return max(e.nbytes() for e in memory)


def test_no_allocation_inside_the_operator_reaches_rows_times_classes():
    embedding, weight, label = case(64, 4000, 8, dtype=torch.float32)

    def ours() -> None:
        total(*margin_lse(embedding, weight, label, 64.0, chunk=128)).backward()  # keeps tiles, one a chunk

    def dense() -> None:
        torch.logsumexp(64 * F.normalize(embedding) @ F.normalize(weight).t(), 1).sum().backward()

    assert allocated(dense) >= 64 * 4000 * 4  # the recorder sees what it should
    assert allocated(ours) <= 4000 * 8 * 4 < 64 * 4000 * 4 / 4


def test_triton_is_refused_where_it_cannot_run_and_plain_torch_can_be_asked_for():
    embedding, weight, label = case(2, 5, 3)
    with backend("torch"):
        plain = margin_lse(embedding, weight, label, 8.0)
    assert torch.equal(plain[0], margin_lse(embedding, weight, label, 8.0)[0])
    with backend("triton"), pytest.raises(RuntimeError, match=r"no kernel computes in torch\.float64"):
        margin_lse(embedding, weight, label, 8.0)
    with pytest.raises(ValueError, match="backend is one of auto, torch, triton, not 'cuda'"), backend("cuda"):
        pass


@pytest.mark.skipif(INTERPRET, reason="the interpreter runs the kernels on a CPU")
def test_triton_on_a_cpu_is_refused_with_what_would_make_it_run():
    embedding, weight, label = case(2, 5, 3, dtype=torch.float32)
    with backend("triton"), pytest.raises(RuntimeError, match=r"no kernel runs on cpu .*TRITON_INTERPRET=1"):
        margin_lse(embedding, weight, label, 8.0)
