"""The gate against its formula: soft and hard, per element and shared, and inside compile and export."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from occmask_kernels import mask_apply

SHAPES = {"full": ((2, 3, 4, 5), (2, 3, 4, 5)), "shared": ((2, 3, 4, 5), (2, 1, 4, 5)), "vector": ((3, 7), (3, 7))}


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
def test_only_x_and_logits_are_kept(threshold):
    x, logits = pair(SHAPES["full"])
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        mask_apply(x, logits, threshold=threshold)
    assert [t.data_ptr() for t in kept] == [x.data_ptr(), logits.data_ptr()]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", SHAPES)
def test_half_precision_is_rounded_once(kind, dtype):
    x, logits = (t.detach().to(dtype).requires_grad_() for t in pair(SHAPES[kind]))
    up = torch.randn_like(x)
    wide = x.detach().float().requires_grad_(), logits.detach().float().requires_grad_()
    found, expected = mask_apply(x, logits), mask_apply(*wide)
    assert torch.equal(found, expected.to(dtype))
    for a, b in zip(
        torch.autograd.grad(found, (x, logits), up), torch.autograd.grad(expected, wide, up.float()), strict=True
    ):
        assert torch.equal(a, b.to(dtype))


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
