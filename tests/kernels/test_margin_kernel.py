"""The Triton kernels of `margin_lse`, run by Triton's interpreter, against the dense formula in float64.

Run with TRITON_INTERPRET=1; `make test` does.  bf16 is left out: the interpreter multiplies bf16 bit patterns as
integers.  Its rounding is imitated by the plain torch path (test_margin_numerics.py), its code compiled by test_aot.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from occmask_kernels import backend, margin_lse, margin_lse_and_rank
from occmask_kernels.margin import op

fused = pytest.importorskip("occmask_kernels.margin.fused", reason="needs the package triton")

pytestmark = pytest.mark.interpreter

# Tiles are 16 rows by 32 classes by 32 columns here: sizes below, at and beyond them, and not multiples
SIZES = [(16, 64, 64), (13, 37, 16), (5, 17, 48), (33, 100, 70), (1, 1, 3), (3, 2, 2), (2, 33, 5), (40, 70, 130)]
TOLERANCE = {"ieee": 2e-5, "tf32": 2e-5, "fp16": 4e-3}  # relative; the interpreter does not round to tf32


@pytest.fixture(params=[False, True], ids=["pointers", "copy engine"])
def tma(request, monkeypatch) -> bool:
    """How matrices are read: by pointers (sm_80), or by descriptors (sm_90)."""
    monkeypatch.setattr(fused, "has_copy_engine", lambda tensor, precision: request.param)
    return request.param


def case(n: int, c: int, d: int, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Rows near their class, so that gradients are neither tiny nor all alike; label -1 and duplicates occur."""
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(c, d, generator=g)
    label = torch.randint(-1, c, (n,), generator=g)
    label[0] = c - 1
    embedding = torch.randn(n, d, generator=g) + 3 * F.normalize(weight)[label]
    return [embedding.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), label]


def dense(embedding: Tensor, weight: Tensor, label: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    length = [x.norm(dim=1, keepdim=True) for x in (embedding, weight)]
    unit = [
        torch.where(n <= 1e-12, 0, x / n.clamp(min=1e-12)) for x, n in zip((embedding, weight), length, strict=True)
    ]
    cosine = unit[0] @ unit[1].t()
    own = F.one_hot(label.clamp(min=0), weight.shape[0]).bool() & (label >= 0)[:, None]
    target = (cosine * own).sum(1)
    rank = ((cosine > target[:, None]) & ~own).sum(1)
    return torch.logsumexp((scale * cosine).masked_fill(own, -torch.inf), 1), target, rank


def cosface(log_neg: Tensor, cosine: Tensor, scale: Tensor) -> Tensor:
    excess = log_neg - scale * (cosine - 0.35)
    return torch.logaddexp(excess, torch.zeros_like(excess)).mean()


def outcome(op: Callable[..., tuple[Tensor, ...]], inputs: list[Tensor], scale: Tensor) -> list[Tensor]:
    """log_neg, cos_target, rank, loss and its gradients."""
    log_neg, cosine, rank = op(*inputs, scale)
    loss = cosface(log_neg, cosine, scale)
    return [log_neg, cosine, rank, loss, *torch.autograd.grad(loss, (inputs[0], inputs[1], scale))]


NAMES = ("log_neg", "cos_target", "rank", "loss", "d embedding", "d weight", "d scale")


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for name, a, b in zip(NAMES, found, expected, strict=True):
        assert_same(name, a, b, tolerance)


def assert_same(name: str, a: Tensor, b: Tensor, tolerance: float) -> None:
    a, b = a.detach().double(), b.detach().double()
    assert torch.equal(a.isfinite(), b.isfinite()), name
    size = b.nan_to_num(neginf=0.0).norm().clamp(min=1e-6)
    assert (a - b).nan_to_num(0.0, posinf=0.0, neginf=0.0).norm() <= tolerance * size, name


def expect(inputs: list[Tensor], scale: float) -> list[Tensor]:
    exact = [inputs[0].detach().double().requires_grad_(), inputs[1].detach().double().requires_grad_(), inputs[2]]
    return outcome(dense, exact, torch.tensor(scale, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("cache", [0, 10**9])
@pytest.mark.parametrize("precision", ["ieee", "tf32", "fp16"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_values_rank_and_gradients_equal_the_dense_formula(tma, size, precision, cache):
    inputs, scale = case(*size), torch.tensor(64.0, requires_grad=True)
    with backend("triton"):
        found = outcome(lambda *a: margin_lse_and_rank(*a, precision=precision, cache=cache), inputs, scale)
    tolerance = TOLERANCE[precision] if not (cache and precision == "fp16") else 2e-2  # its tiles are bf16, truncated
    expected = expect(inputs, 64.0)
    if precision == "fp16":  # classes closer together than its rounding may change places
        assert (found[2] - expected[2]).abs().max() <= 1
        found[2] = expected[2]
    assert_close(found, expected, tolerance)


@pytest.mark.parametrize("cache", [0, "part", 10**9])
def test_chunks_and_a_cache_that_ends_among_them_change_nothing(tma, monkeypatch, cache):
    monkeypatch.setattr(fused, "CHUNK_BYTES", 1)
    monkeypatch.setattr(fused, "CLASS_MULTIPLE", 32)
    monkeypatch.setattr("occmask_kernels.margin._TILE_STEP", 32)
    inputs, scale = case(19, 150, 40), torch.tensor(64.0, requires_grad=True)
    cache = 19 * 4 * 70 if cache == "part" else cache  # 70 classes fit, two steps of 32 are taken
    with backend("triton"):
        found = outcome(lambda *a: margin_lse_and_rank(*a, precision="ieee", cache=cache), inputs, scale)
    assert_close(found, expect(inputs, 64.0), 2e-5)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
def test_scales_beyond_the_range_of_float32_s_exponential_are_stable(tma, scale):
    inputs = case(9, 50, 6)
    with backend("triton"):
        log_neg, cosine = margin_lse(*inputs, scale, precision="ieee")
        grads = torch.autograd.grad(log_neg.sum() + cosine.sum(), inputs[:2])
    exact = dense(inputs[0].double(), inputs[1].double(), inputs[2], torch.tensor(scale, dtype=torch.float64))
    torch.testing.assert_close(log_neg.double(), exact[0], rtol=2e-6, atol=2e-5)
    for x, y in zip(grads, torch.autograd.grad(exact[0].sum() + exact[1].sum(), inputs[:2]), strict=True):
        assert (x - y).norm() <= 1e-3 * y.norm()


@pytest.mark.parametrize("up", [(1.0, 0.0), (0.0, 1.0), (1e-6, 3.0), (1e6, -1e6), (0.0, 0.0)])
def test_gradients_of_any_size_and_share_are_exact(tma, up):
    inputs = case(6, 40, 8)
    inputs[2][1] = -1
    expected = dense(inputs[0].double(), inputs[1].double(), inputs[2], torch.tensor(8.0).double())
    with backend("triton"):
        found = margin_lse(*inputs, 8.0, precision="fp16")
        a = torch.autograd.grad(up[0] * found[0].sum() + up[1] * found[1].sum(), inputs[:2])
    b = torch.autograd.grad(up[0] * expected[0].sum() + up[1] * expected[1].sum(), inputs[:2])
    for x, y in zip(a, b, strict=True):
        assert (x - y).norm() <= 3e-3 * y.norm()


@pytest.fixture
def poisoned(monkeypatch) -> None:
    """Memory that nobody has written to holds NaN: what a kernel forgets, or reads beyond its mask, shows."""

    def fill(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def poisoned_make(*args, **kwargs):
            made = make(*args, **kwargs)
            return made.fill_(torch.nan if made.is_floating_point() else 2**30)

        return poisoned_make

    for where, name in ((torch, "empty"), (torch, "empty_like"), (Tensor, "new_empty")):
        monkeypatch.setattr(where, name, fill(getattr(where, name)))


@pytest.mark.parametrize("cache", [0, 10**9])
@pytest.mark.parametrize("size", [(13, 37, 16), (33, 100, 70), (1, 1, 3)], ids=str)
def test_nothing_is_read_before_it_is_written(tma, poisoned, size, cache):
    inputs, scale = case(*size), torch.tensor(64.0, requires_grad=True)
    with backend("triton"):
        found = outcome(lambda *a: margin_lse_and_rank(*a, precision="ieee", cache=cache), inputs, scale)
    assert_close(found, expect(inputs, 64.0), 2e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_parameters_are_normalised_in_float32(tma, dtype):
    inputs, scale = case(7, 40, 24, dtype=dtype), torch.tensor(64.0, requires_grad=True)
    with backend("triton"):
        found = outcome(lambda *a: margin_lse_and_rank(*a, precision="ieee"), inputs, scale)
    assert found[0].dtype == torch.float32
    assert [g.dtype for g in found[4:6]] == [dtype, dtype]
    for name, x, y in zip(NAMES, found, expect(inputs, 64.0), strict=True):
        rounded = name in ("d embedding", "d weight")  # to dtype, which the interpreter does by cutting off
        assert_same(name, x, y, 2e-2 if rounded else 2e-5)


def test_strided_rows_and_int32_labels_give_the_same(tma):
    embedding, weight, label = case(6, 20, 5)
    wide = torch.randn(20, 10)
    wide[:, ::2] = weight.detach()
    with backend("triton"):
        found = margin_lse(embedding.detach().t().contiguous().t(), wide[:, ::2], label.int(), 64.0)
        expected = margin_lse(embedding.detach(), weight.detach(), label, 64.0)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


def test_rows_without_length_have_cosine_zero_and_gradient_zero(tma):
    inputs = case(4, 20, 6)
    with torch.no_grad():
        inputs[0][1], inputs[1][2] = 0, 0
    inputs[2][:] = torch.tensor([2, 0, 1, 2])
    with backend("triton"):
        log_neg, cosine = margin_lse(*inputs, 64.0, precision="ieee")
        grads = torch.autograd.grad(log_neg.sum() + cosine.sum(), inputs[:2])
    assert cosine[:2].tolist() == [0, 0]
    assert all(g.isfinite().all() for g in grads)
    assert (grads[0][1] == 0).all()
    assert (grads[1][2] == 0).all()
    assert (grads[0][0] != 0).any()


def test_nan_and_labels_of_no_class_spoil_their_own_row_only(tma, monkeypatch):
    monkeypatch.setattr("occmask_kernels.margin.checks.readable", lambda values: False)  # as on a GPU
    embedding, weight, _ = case(4, 40, 6)
    with torch.no_grad():
        embedding[1, 2] = torch.nan
    label = torch.tensor([0, 1, 40, -2])
    with backend("triton"):
        log_neg, cosine, rank = margin_lse_and_rank(embedding, weight, label, 64.0)
    assert log_neg.isnan().tolist() == cosine.isnan().tolist() == [False, True, True, True]
    assert rank[1] > 0
    assert rank[2] == rank[3] == 40


def test_sampled_classes_equal_their_rows_alone_and_leave_the_others_no_gradient(tma):
    embedding, weight, _ = case(9, 90, 20)
    classes = torch.arange(0, 90, 2)
    label = torch.tensor([0, 2, 4, 88, 1, 3, -1, 40, 40])  # odd ones are not among the sampled
    inside = torch.where(label % 2 == 0, label // 2, -1)
    with backend("triton"):
        found = margin_lse(embedding, weight, label, 64.0, classes=classes, precision="ieee")
        expected = margin_lse(embedding, weight[classes], inside, 64.0, precision="ieee")
        a = torch.autograd.grad(found[0].sum() + 3 * found[1].sum(), (embedding, weight))
        b = torch.autograd.grad(expected[0].sum() + 3 * expected[1].sum(), (embedding, weight))
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))
    assert a[1].is_sparse
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1].to_dense(), b[1])


@pytest.mark.parametrize("needed", [0, 1])
def test_without_gradients_nothing_is_kept_and_with_one_the_other_is_not_made(tma, monkeypatch, needed):
    monkeypatch.setattr(fused, "CHUNK_BYTES", 64 * 2 * 32)
    monkeypatch.setattr(fused, "CLASS_MULTIPLE", 32)
    inputs = case(5, 100, 20)
    with backend("triton"):
        kept = op.margin_lse(*_op_arguments(inputs, keep=False))
        assert kept[4].numel() == kept[5].numel() == 0
        both = torch.autograd.grad(margin_lse(*inputs, 64.0)[0].sum(), inputs[:2])
        with torch.no_grad():
            without = margin_lse(*inputs, 64.0)
        assert torch.equal(without[0], margin_lse(*inputs, 64.0)[0])
        inputs[1 - needed] = inputs[1 - needed].detach()
        (one,) = torch.autograd.grad(margin_lse(*inputs, 64.0)[0].sum(), inputs[needed])
    assert torch.equal(one, both[needed])


def _op_arguments(inputs: list[Tensor], *, keep: bool) -> tuple:
    detached = [t.detach() for t in inputs]
    return (*detached, torch.tensor(64.0), None, "fp16", True, True, 0, False, keep, 32)


@pytest.mark.parametrize(("cached", "ranked"), [(0, False), (100, True)])
def test_the_operators_keep_torch_s_rules(tma, cached, ranked):
    embedding, weight, label = case(5, 100, 20)
    arguments = (
        embedding, weight, label, torch.tensor(64.0, requires_grad=True), None,
        "ieee", True, True, cached, ranked, True, 32,
    )  # fmt: skip
    torch.library.opcheck(op.margin_lse, arguments)


def test_it_compiles_as_one_graph(tma):
    inputs = case(4, 40, 6)

    def loss(embedding: Tensor, weight: Tensor, label: Tensor) -> Tensor:
        log_neg, cosine = margin_lse(embedding, weight, label, 8.0)
        return (log_neg - 8.0 * cosine).sum()

    with backend("triton"):
        found = torch.compile(loss, fullgraph=True, backend="aot_eager")(*inputs)
        expected = loss(*inputs)
        a, b = torch.autograd.grad(found, inputs[:2]), torch.autograd.grad(expected, inputs[:2])
    assert torch.equal(found, expected)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_same_call_gives_the_same_bits(tma):
    inputs, scale = case(33, 100, 70), torch.tensor(64.0, requires_grad=True)
    with backend("triton"):
        first, second = (outcome(margin_lse_and_rank, inputs, scale) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_two_halves_of_the_classes_add_up_to_the_whole(tma):
    embedding, weight, label = case(6, 70, 16)
    with backend("triton"):
        whole = margin_lse(embedding, weight, label, 64.0, precision="ieee")
        parts = [
            margin_lse(
                embedding, weight[a:b], torch.where((label >= a) & (label < b), label - a, -1), 64.0, precision="ieee"
            )
            for a, b in ((0, 20), (20, 70))
        ]
        log_neg = torch.stack([p[0].exp() for p in parts]).sum(0).log()  # sums alone, no maximum
        cosine = parts[0][1] + parts[1][1]
        a = torch.autograd.grad(cosface(log_neg, cosine, torch.tensor(64.0)), (embedding, weight))
        b = torch.autograd.grad(cosface(*whole, torch.tensor(64.0)), (embedding, weight))
    torch.testing.assert_close(log_neg, whole[0], rtol=1e-5, atol=1e-5)
    for x, y in zip(a, b, strict=True):
        assert (x - y).norm() <= 2e-5 * y.norm()
