"""The gate against its formula: soft and hard, per element and shared, and inside compile and export."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from occmask_kernels import mask_apply, mask_apply_and_gate
from occmask_kernels._dispatch import INTERPRET, backend
from occmask_kernels.masking import frugal, op, reference

SHAPES = {"full": ((2, 3, 4, 5), (2, 3, 4, 5)), "shared": ((2, 3, 4, 5), (2, 1, 4, 5)), "vector": ((3, 7), (3, 7))}


@pytest.fixture(autouse=True, scope="module", params=[0, reference.SMALL], ids=["own passes", "torch's for small maps"])
def small(request) -> Iterator[int]:
    """A CPU leaves small maps to torch's own operations; every test runs with its maps counted as large, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "SMALL", request.param)
        yield request.param


def plain(x: Tensor, logits: Tensor, threshold: float | None = None) -> Tensor:
    soft = logits.sigmoid()
    gate = soft if threshold is None else soft + ((soft >= threshold).to(soft.dtype) - soft).detach()
    return x * gate


def pair(shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    x, logits = (torch.randn(shape, generator=g, dtype=torch.float64).requires_grad_() for shape in shapes)
    return x, logits


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    sizes = [draw(st.integers(1, 5)) for _ in range(4)]
    if draw(st.booleans()):
        return tuple(sizes), (sizes[0], draw(st.sampled_from([1, sizes[1]])), *sizes[2:])
    return tuple(sizes[:2]), tuple(sizes[:2])


@settings(deadline=None)
@given(shapes(), st.none() | st.floats(0.05, 0.95), st.integers(0, 999))
def test_values_and_gradients_equal_the_plain_formula(shapes, threshold, seed):
    x, logits = pair(shapes, seed)
    found, expected = mask_apply(x, logits, threshold=threshold), plain(x, logits, threshold)
    up = torch.randn_like(expected)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)
    for a, b in zip(
        torch.autograd.grad(found, (x, logits), up), torch.autograd.grad(expected, (x, logits), up), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", SHAPES)
def test_gradcheck_of_the_soft_gate_once_and_twice(kind):
    inputs = pair(SHAPES[kind])
    assert torch.autograd.gradcheck(mask_apply, inputs)
    assert torch.autograd.gradgradcheck(mask_apply, inputs)


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_a_wide_open_mask_keeps_everything_and_a_shut_one_nothing(threshold):
    x, logits = pair(SHAPES["full"])
    assert torch.equal(mask_apply(x, torch.full_like(logits, 100.0), threshold=threshold), x)
    shut = mask_apply(x, torch.full_like(logits, -800.0), threshold=threshold)
    assert (shut == 0).all()


def test_the_hard_gate_is_x_or_zero_and_open_at_its_threshold():
    x = torch.ones(1, 3)
    logits = torch.tensor([[-0.1, 0.0, 0.1]])
    assert mask_apply(x, logits, threshold=0.5).tolist() == [[0.0, 1.0, 1.0]]


def test_the_hard_gate_moves_its_logits_as_the_soft_one_does():
    x, logits = pair(SHAPES["full"])
    up = torch.randn_like(x)
    hard = torch.autograd.grad(mask_apply(x, logits, threshold=0.7), (x, logits), up)
    soft = torch.autograd.grad(mask_apply(x, logits), (x, logits), up)
    assert torch.equal(hard[1], soft[1])
    assert torch.equal(hard[0], up * (logits.sigmoid() >= 0.7))


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("function", [mask_apply, mask_apply_and_gate])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_is_kept_but_x_logits_and_on_a_cpu_the_gate(function, threshold, dtype):
    x, logits = (t.detach().to(dtype).requires_grad_() for t in pair(SHAPES["full"]))
    kept: dict[int, Tensor] = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.setdefault(t.data_ptr(), t), lambda t: t):
        function(x, logits, threshold=threshold)
    gates = [t for t in kept.values() if t.data_ptr() not in (x.data_ptr(), logits.data_ptr())]
    assert len(gates) == (dtype == torch.float32)
    assert all(torch.equal(t, logits.sigmoid()) for t in gates)


def truth(x: Tensor, logits: Tensor, grad: Tensor, grad_gate: Tensor, threshold: float | None) -> tuple[Tensor, ...]:
    """gated, gate, and the gradients of x and of logits, in float64."""
    x, logits, grad, grad_gate = (t.detach().double() for t in (x, logits, grad, grad_gate))
    soft = logits.sigmoid()
    gate = soft if threshold is None else (soft >= threshold).double()
    grad_soft = (grad * x).sum_to_size(logits.shape) + grad_gate
    return x * gate, soft, grad * gate, grad_soft * soft * (1 - soft)


def both_and_gradients(x, logits, grad, grad_gate, threshold=None) -> tuple[Tensor, ...]:
    gated, gate = mask_apply_and_gate(x, logits, threshold=threshold)
    return gated, gate, *torch.autograd.grad((gated, gate), (x, logits), (grad, grad_gate))


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("kind", SHAPES)
def test_the_second_output_is_the_soft_gate_and_its_gradient_is_added(kind, threshold):
    x, logits = pair(SHAPES[kind])
    grad, grad_gate = torch.randn_like(x), torch.randn_like(logits)
    values = both_and_gradients(x, logits, grad, grad_gate, threshold)
    for value, true in zip(values, truth(x, logits, grad, grad_gate, threshold), strict=True):
        torch.testing.assert_close(value, true, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", SHAPES)
def test_gradcheck_of_both_outputs_once_and_twice(kind):
    inputs = pair(SHAPES[kind])
    assert torch.autograd.gradcheck(mask_apply_and_gate, inputs)
    assert torch.autograd.gradgradcheck(mask_apply_and_gate, inputs)


@pytest.mark.parametrize("kind", SHAPES)
def test_either_of_the_two_outputs_may_go_unused(kind):
    x, logits = pair(SHAPES[kind])
    gated, _ = mask_apply_and_gate(x, logits)
    _, gate = mask_apply_and_gate(x, logits)
    expected = torch.autograd.grad(plain(x, logits).sum(), (x, logits))
    torch.testing.assert_close(torch.autograd.grad(gated.sum(), (x, logits)), expected)
    of_x, of_logits = torch.autograd.grad(gate.sum(), (x, logits), allow_unused=True)
    assert of_x is None
    torch.testing.assert_close(of_logits, torch.autograd.grad(logits.sigmoid().sum(), logits)[0])


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("wanted", ["x", "logits"])
@pytest.mark.parametrize("kind", SHAPES)
def test_one_gradient_alone_is_that_of_the_pair(kind, wanted, threshold):
    x, logits = pair(SHAPES[kind])
    both = torch.autograd.grad(mask_apply(x, logits, threshold=threshold).sum(), (x, logits))
    alone = (x, logits.detach()) if wanted == "x" else (x.detach(), logits)
    mask_apply(*alone, threshold=threshold).sum().backward()
    assert torch.equal(x.grad if wanted == "x" else logits.grad, both[0 if wanted == "x" else 1])


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", SHAPES)
def test_half_precision_is_rounded_once(kind, dtype, threshold):
    x, logits = (t.detach().to(dtype).requires_grad_() for t in pair(SHAPES[kind]))
    grad, grad_gate = torch.randn_like(x), torch.randn_like(logits)
    values = both_and_gradients(x, logits, grad, grad_gate, threshold)
    expected = truth(x, logits, grad, grad_gate, threshold)
    digits, least = (10, -14) if dtype == torch.float16 else (7, -126)
    for value, true in zip(
        (*values, mask_apply(x, logits, threshold=threshold)), (*expected, expected[0]), strict=True
    ):
        ulp = torch.exp2(true.abs().log2().floor().clamp(min=least) - digits)
        assert ((value.double() - true).abs() <= 0.502 * ulp).all()


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", SHAPES)
def test_a_piece_at_a_time_or_all_at_once_is_the_same(kind, dtype, threshold, monkeypatch):
    x, logits = (t.detach().to(dtype).requires_grad_() for t in pair(SHAPES[kind]))
    grad, grad_gate = torch.randn_like(x), torch.randn_like(logits)
    assert len(list(frugal._pieces(x, None))) == len(x)
    in_pieces = both_and_gradients(x, logits, grad, grad_gate, threshold)
    monkeypatch.setattr(frugal, "_pieces", lambda *tensors: [tensors])
    at_once = both_and_gradients(x, logits, grad, grad_gate, threshold)
    torch.testing.assert_close(in_pieces, at_once)  # not bit for bit: torch's loops end in scalar code


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_logits_of_any_size_give_the_sigmoid_to_rounding(dtype):
    limits = torch.tensor([frugal.ONE_IN_FLOAT32, frugal.ONE_IN_FLOAT64], dtype=dtype)
    logits = torch.cat([torch.linspace(-120, 120, 4801, dtype=dtype), limits, limits.nextafter(limits.new_tensor(0.0))])
    x = torch.linspace(0.5, 2, len(logits), dtype=dtype)
    found = mask_apply(x[None], logits[None])[0]
    expected = x.double() * logits.double().sigmoid()
    torch.testing.assert_close(found.double(), expected, rtol=4 * torch.finfo(dtype).eps, atol=1e-37)


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("kind", SHAPES)
def test_nan_and_infinity_go_where_the_plain_product_lets_them(kind, threshold):
    x, logits = (t.detach() for t in pair(SHAPES[kind]))
    inf, nan = float("inf"), float("nan")
    x.view(-1)[:3] = torch.tensor([inf, -inf, nan])
    logits.view(-1)[3:7] = torch.tensor([inf, -inf, nan, 0.0])
    x.requires_grad_(), logits.requires_grad_()
    up = torch.randn_like(x)
    soft = logits.sigmoid()
    expected = x * (soft if threshold is None else (soft >= threshold).to(x.dtype))
    torch.testing.assert_close(mask_apply(x, logits, threshold=threshold), expected, equal_nan=True)
    found = torch.autograd.grad(mask_apply(x, logits, threshold=threshold), (x, logits), up)
    grad_soft = (up * x).sum_to_size(logits.shape)
    expected = up * (soft if threshold is None else (soft >= threshold)), grad_soft * soft * (1 - soft)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b.detach(), equal_nan=True)


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("kind", SHAPES)
def test_without_gradients_the_values_are_the_same_and_the_inputs_untouched(kind, threshold):
    x, logits = pair(SHAPES[kind])
    before = x.detach().clone(), logits.detach().clone()
    tracked = mask_apply(x, logits, threshold=threshold), *mask_apply_and_gate(x, logits, threshold=threshold)
    with torch.no_grad():
        free = mask_apply(x, logits, threshold=threshold), *mask_apply_and_gate(x, logits, threshold=threshold)
    for a, b in zip(tracked, free, strict=True):
        torch.testing.assert_close(a.detach(), b, rtol=1e-14, atol=1e-15)
        assert not b.requires_grad
    torch.autograd.grad(tracked[0].sum(), (x, logits))
    assert torch.equal(x, before[0])
    assert torch.equal(logits, before[1])


@settings(deadline=None)
@given(shapes(), st.none() | st.floats(0.05, 0.95), st.integers(0, 999), st.permutations(range(4)), st.booleans())
def test_layouts_may_differ_and_the_result_has_that_of_x(shapes, threshold, seed, order, only_x):
    x, logits = (t.detach() for t in pair(shapes, seed))
    if x.ndim == 2:
        order = [0, 1] if order[0] < order[1] else [1, 0]
    back = [order.index(axis) for axis in range(x.ndim)]
    mixed = x.permute(order).contiguous().permute(back), logits
    if not only_x:
        mixed = mixed[0], logits.permute(order).contiguous().permute(back)
    mixed, straight = ([t.requires_grad_() for t in inputs] for inputs in (mixed, (x, logits)))
    found, expected = (mask_apply(*inputs, threshold=threshold) for inputs in (mixed, straight))
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)
    wide = [axis for axis in range(x.ndim) if x.shape[axis] > 1]  # the stride of any other axis means nothing
    assert [found.stride(axis) for axis in wide] == [mixed[0].stride(axis) for axis in wide]
    up = torch.randn_like(expected)
    for a, b in zip(torch.autograd.grad(found, mixed, up), torch.autograd.grad(expected, straight, up), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.skipif(INTERPRET, reason="Triton's interpreter runs on a CPU")
def test_the_kernels_are_not_silently_replaced_on_a_cpu():
    with backend("triton"), pytest.raises(RuntimeError, match="'triton' was asked for, but"):
        mask_apply(torch.zeros(1, 2), torch.zeros(1, 2))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_the_operators_compute_float64_with_the_reference(kind, threshold):
    x, logits = pair(SHAPES[kind])
    torch.library.opcheck(op.mask_apply, (x, logits, threshold))
    torch.library.opcheck(op.mask_apply_and_gate, (x, logits, threshold))
    values = op.mask_apply_and_gate(x, logits, threshold)
    expected = reference.mask_apply_and_gate(x, logits, threshold)
    grads = torch.randn_like(x), torch.randn_like(logits)
    values = *values, *torch.autograd.grad(values, (x, logits), grads)
    expected = *expected, *torch.autograd.grad(expected, (x, logits), grads)
    for a, b in zip(values, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-15)


@pytest.mark.slow
def test_the_default_compiler_gives_the_same():
    x, logits = (t.detach().float().requires_grad_() for t in pair(SHAPES["shared"]))
    compiled = torch.compile(mask_apply_and_gate, fullgraph=True)
    found, expected = compiled(x, logits, threshold=0.3), mask_apply_and_gate(x, logits, threshold=0.3)
    ups = torch.randn_like(x), torch.randn_like(logits)
    found = *found, *torch.autograd.grad(found, (x, logits), ups)
    expected = *expected, *torch.autograd.grad(expected, (x, logits), ups)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_types_may_differ_and_the_result_is_that_of_x():
    x, logits = torch.randn(2, 3), torch.randn(2, 3, dtype=torch.bfloat16, requires_grad=True)
    found = mask_apply(x, logits)
    assert torch.equal(found, x * logits.float().sigmoid())
    (grad,) = torch.autograd.grad(found.sum(), logits)
    assert grad.dtype == torch.bfloat16


def test_channels_last_stays_channels_last():
    x, logits = (t.detach().to(memory_format=torch.channels_last) for t in pair(SHAPES["full"]))
    found = mask_apply(x, logits)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, mask_apply(x.contiguous(), logits.contiguous()), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("kind", SHAPES)
def test_it_compiles_as_one_graph_forward_and_backward(kind, threshold):
    torch._dynamo.reset()  # which gives up on code that it has compiled too often
    x, logits = pair(SHAPES[kind])
    compiled = torch.compile(lambda a, b: mask_apply(a, b, threshold=threshold), fullgraph=True, backend="aot_eager")
    found, expected = compiled(x, logits), mask_apply(x, logits, threshold=threshold)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)
    for a, b in zip(
        torch.autograd.grad(found.square().sum(), (x, logits)),
        torch.autograd.grad(expected.square().sum(), (x, logits)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


class Gated(nn.Module):
    def __init__(self, channels: int, threshold: float | None):
        super().__init__()
        self.decoder, self.threshold = nn.Conv2d(3, channels, 1), threshold

    def forward(self, x: Tensor) -> Tensor:
        return mask_apply(x, self.decoder(x), threshold=self.threshold)


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_exports_with_any_batch(channels, threshold):
    model = Gated(channels, threshold)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(model, (torch.randn(2, 3, 4, 5),), dynamic_shapes={"x": {0: batch}})
    x = torch.randn(5, 3, 4, 5)
    torch.testing.assert_close(exported.module()(x), model(x))


@pytest.mark.parametrize(
    ("x", "logits", "message"),
    [
        ((2, 8, 4, 4), (2, 3, 4, 4), r"logits \(2, 3, 4, 4\) do not fit x \(2, 8, 4, 4\); give .*\(2, 1, 4, 4\)"),
        ((2, 8, 4, 4), (1, 8, 4, 4), "do not fit"),
        ((2, 8, 4, 4), (2, 1, 1, 1), "do not fit"),
        ((2, 8), (2, 1), r"give \(2, 8\)$"),
        ((2, 8), (2, 8, 1, 1), "do not fit"),
        ((2, 8, 4), (2, 8, 4), r"x is \(B, C, H, W\) or \(B, D\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named_with_those_that_would(x, logits, message):
    with pytest.raises(ValueError, match=message):
        mask_apply(torch.zeros(x), torch.zeros(logits))


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, float("nan")])
def test_a_threshold_outside_zero_and_one_is_refused(threshold):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        mask_apply(torch.zeros(1, 2), torch.zeros(1, 2), threshold=threshold)


def test_integers_and_mixed_devices_are_refused():
    with pytest.raises(ValueError, match="floating point"):
        mask_apply(torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="one device"):
        mask_apply(torch.zeros(1, 2), torch.zeros(1, 2, device="meta"))
