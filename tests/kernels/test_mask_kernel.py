"""The kernels of the gate, run by Triton's interpreter, against the formula in float64."""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("triton", reason="the package triton is not installed")

from occmask_kernels import mask_apply, mask_apply_and_gate
from occmask_kernels._dispatch import backend
from occmask_kernels.masking import op, reference

pytestmark = [
    pytest.mark.interpreter,
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1 in the environment"),
]

# Largest error relative to the largest value. bf16 is loose: Triton's interpreter truncates where a GPU rounds.
TOLERANCE = {torch.float32: 5e-7, torch.float16: 6e-4, torch.bfloat16: 1e-2}

LAYOUTS = {
    "contiguous": lambda t: t.contiguous(),
    "channels last": lambda t: t.movedim(1, -1).contiguous().movedim(-1, 1),
    "transposed": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "every second": lambda t: t.repeat_interleave(2, -1)[..., ::2],
    "offset by one": lambda t: torch.cat([t.new_zeros(1), t.flatten()])[1:].view(t.shape),
    "padded rows": lambda t: torch.cat([t, t], 1)[:, : t.shape[1]],
}


class Case(NamedTuple):
    x: Tensor
    logits: Tensor
    grad: Tensor
    grad_gate: Tensor


def make(shape: tuple[int, ...], gate_shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Case:
    g = torch.Generator().manual_seed(seed)
    x, grad = (torch.randn(shape, generator=g).to(dtype) for _ in range(2))
    logits, grad_gate = (2 * torch.randn(gate_shape, generator=g).to(dtype) for _ in range(2))
    return Case(x, logits, grad, grad_gate)


def truth(case: Case, threshold: float | None, *, grad_gate: bool = True) -> tuple[Tensor, ...]:
    """gated, gate, and the gradients of x and of logits, in float64."""
    x, logits, grad, of_gate = (t.double() for t in case)
    soft = logits.sigmoid()
    gate = soft if threshold is None else (soft >= threshold).double()
    grad_soft = (grad * x).sum_to_size(logits.shape) + (of_gate if grad_gate else 0)
    return x * gate, soft, grad * gate, grad_soft * soft * (-logits).sigmoid()  # 1 - soft without cancellation


def found(case: Case, threshold: float | None) -> tuple[Tensor, ...]:
    x, logits = (t.detach().requires_grad_() for t in case[:2])
    with backend("triton"):
        gated, gate = mask_apply_and_gate(x, logits, threshold=threshold)
        grads = torch.autograd.grad((gated, gate), (x, logits), (case.grad, case.grad_gate))
    return gated, gate, *grads


def assert_near(values: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for value, true in zip(values, expected, strict=True):
        scale = max(true.abs().max().item(), 1e-3)
        assert not value.isnan().any(), "an element that nobody wrote"
        assert (value.double() - true).abs().max().item() <= TOLERANCE[value.dtype] * scale


@pytest.fixture(autouse=True)
def _nothing_is_zero_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """New memory is NaN, so that an element a kernel forgets shows."""
    for owner, name in ((torch, "empty"), (torch, "empty_like"), (Tensor, "new_empty")):
        original = getattr(owner, name)

        def poisoned(*args, original=original, **kwargs):
            new = original(*args, **kwargs)
            return new.fill_(float("nan")) if new.is_floating_point() else new

        monkeypatch.setattr(owner, name, poisoned)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if draw(st.booleans()):
        shape = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 37, 1030]))
        return shape, shape
    shape = (
        draw(st.integers(1, 3)),
        draw(st.sampled_from([1, 3, 16, 33])),
        draw(st.integers(1, 7)),
        draw(st.integers(1, 7)),
    )
    return shape, shape if draw(st.booleans()) else (shape[0], 1, *shape[2:])


layouts = st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * 4)
thresholds = st.none() | st.floats(0.05, 0.95)


@settings(max_examples=60)
@given(shapes(), st.sampled_from([torch.float32, torch.float16]), layouts, thresholds, st.integers(0, 99))
def test_every_shape_layout_and_threshold_gives_the_formulas_values_and_gradients(
    shapes, dtype, layouts, threshold, seed
):
    case = make(*shapes, dtype, seed)
    expected = truth(case, threshold)
    assume(threshold is None or (expected[1] - threshold).abs().min() > 1e-6)  # else rounding may decide
    laid_out = Case(*(LAYOUTS[name](t) for name, t in zip(layouts, case, strict=True)))
    assert_near(found(laid_out, threshold), expected)


@pytest.mark.parametrize("threshold", [None, 0.4])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", [(2, 5, 40, 41), (1, 600, 3, 3), (2, 300, 9, 8), (3, 512, 1, 1)])
def test_a_shared_gate_wider_or_deeper_than_a_tile(shape, channels_last, threshold):
    case = make(shape, (shape[0], 1, *shape[2:]), torch.float32, 1)
    if channels_last:
        case = Case(*(t.contiguous(memory_format=torch.channels_last) for t in case))
    assert_near(found(case, threshold), truth(case, threshold))


@pytest.mark.parametrize("threshold", [None, 0.4])
@pytest.mark.parametrize("gate_shape", [(2, 20, 7, 6), (2, 1, 7, 6)])
def test_bf16_is_near_the_formula(gate_shape, threshold):
    case = make((2, 20, 7, 6), gate_shape, torch.bfloat16, 2)
    assert_near(found(case, threshold), truth(case, threshold))


@pytest.mark.parametrize("gate_shape", [(2, 20, 7, 6), (2, 1, 7, 6)])
def test_half_precision_is_rounded_once(gate_shape):
    case = make((2, 20, 7, 6), gate_shape, torch.float16, 3)
    for value, true in zip(found(case, None), truth(case, None), strict=True):
        ulp = torch.exp2(true.abs().log2().floor().clamp(min=-14) - 10)
        assert ((value.double() - true).abs() <= 0.502 * ulp).all()


@pytest.mark.parametrize("threshold", [None, 0.4])
@pytest.mark.parametrize("wanted", ["x", "logits"])
@pytest.mark.parametrize("gate_shape", [(2, 20, 7, 6), (2, 1, 7, 6)])
def test_a_gradient_that_nobody_wants_is_not_computed(gate_shape, wanted, threshold, monkeypatch):
    case = make((2, 20, 7, 6), gate_shape, torch.float32, 4)
    x = case.x.clone().requires_grad_(wanted == "x")
    logits = case.logits.clone().requires_grad_(wanted == "logits")
    with backend("triton"):
        gated = mask_apply(x, logits, threshold=threshold)
        (grad,) = torch.autograd.grad(gated, x if wanted == "x" else logits, case.grad)
    values, expected = (gated, grad), truth(case, threshold, grad_gate=False)
    assert_near(values, (expected[0], expected[2 if wanted == "x" else 3]))
    flags = wanted == "x", wanted == "logits"
    results = op.mask_apply_backward(case.grad, None, case.x, case.logits, threshold, *flags)
    assert [result.numel() > 0 for result in results] == list(flags)


@pytest.mark.parametrize("used", ["gated", "gate"])
@pytest.mark.parametrize("gate_shape", [(2, 20, 7, 6), (2, 1, 7, 6)])
def test_either_of_the_two_outputs_may_go_unused(gate_shape, used):
    case = make((2, 20, 7, 6), gate_shape, torch.float32, 5)
    x, logits = (t.clone().requires_grad_() for t in case[:2])
    with backend("triton"):
        gated, gate = mask_apply_and_gate(x, logits)
        up = (gated * case.grad).sum() if used == "gated" else (gate * case.grad_gate).sum()
        up.backward()
    grad, grad_gate = case.grad * (used == "gated"), case.grad_gate * (used == "gate")
    expected = truth(Case(case.x, case.logits, grad, grad_gate), None)
    assert_near((logits.grad,), expected[3:])
    assert (x.grad is None) == (used == "gate")
    if x.grad is not None:
        assert_near((x.grad,), expected[2:3])


def test_the_hard_gate_is_open_at_its_threshold_and_its_output_gate_is_soft():
    x, logits = torch.ones(1, 3), torch.tensor([[-0.1, 0.0, 0.1]])
    with backend("triton"):
        gated, gate = mask_apply_and_gate(x, logits, threshold=0.5)
    assert gated.tolist() == [[0.0, 1.0, 1.0]]
    torch.testing.assert_close(gate, logits.sigmoid())


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("shared", [False, True])
def test_nan_and_infinity_go_where_the_reference_lets_them(shared, threshold):
    inf, nan = float("inf"), float("nan")
    case = make((1, 4, 2, 6), (1, 1 if shared else 4, 2, 6), torch.float32, 6)
    case.x[0, 1, 0, :3] = torch.tensor([inf, -inf, nan])
    case.logits[0, 0, 1, :] = torch.tensor([inf, -inf, nan, 60.0, -60.0, 30.0])
    case.grad[0, 2, 0, 3] = nan
    x, logits = (t.clone().requires_grad_() for t in case[:2])
    gated, gate = reference.mask_apply_and_gate(x, logits, threshold)
    expected = gated, gate, *torch.autograd.grad((gated, gate), (x, logits), (case.grad, case.grad_gate))
    for value, true in zip(found(case, threshold), expected, strict=True):
        torch.testing.assert_close(value, true, rtol=2e-6, atol=2e-6, equal_nan=True)


def test_the_slope_of_a_wide_open_gate_is_not_lost_to_rounding():
    case = make((1, 8), (1, 8), torch.float32, 7)
    case = case._replace(logits=torch.tensor([[15.0, 25.0, 40.0, 80.0, -15.0, -25.0, -40.0, -80.0]]))
    torch.testing.assert_close(found(case, None)[3].double(), truth(case, None)[3], rtol=2e-6, atol=0)


@pytest.mark.parametrize("gate_shape", [(2, 33, 7, 6), (2, 1, 7, 6)])
def test_results_repeat_bit_for_bit(gate_shape):
    case = make((2, 33, 7, 6), gate_shape, torch.float32, 8)
    assert all(torch.equal(a, b) for a, b in zip(found(case, None), found(case, None), strict=True))


@pytest.mark.parametrize("shape", [(0, 4, 3, 3), (2, 0, 3, 3), (2, 4, 0, 3), (0, 5)])
def test_nothing_to_do_is_done(shape):
    gate_shape = (shape[0], 1, *shape[2:]) if len(shape) == 4 else shape
    case = make(shape, gate_shape, torch.float32)
    for value, true in zip(found(case, None), truth(case, None), strict=True):
        torch.testing.assert_close(value.double(), true)


@pytest.mark.parametrize("function", [mask_apply, mask_apply_and_gate])
def test_only_x_and_logits_are_kept(function):
    x, logits = (t.requires_grad_() for t in make((2, 3, 4, 5), (2, 3, 4, 5), torch.float32)[:2])
    kept: list[Tensor] = []
    with backend("triton"), torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        function(x, logits)
    assert [t.data_ptr() for t in kept] == [x.data_ptr(), logits.data_ptr()]


@pytest.mark.parametrize("gate_shape", [(2, 20, 7, 6), (2, 1, 7, 6)])
def test_channels_last_stays_channels_last(gate_shape):
    case = make((2, 20, 7, 6), gate_shape, torch.float32)
    x = case.x.contiguous(memory_format=torch.channels_last)
    gated, _, grad_x, _ = found(case._replace(x=x), None)
    assert gated.is_contiguous(memory_format=torch.channels_last)
    assert grad_x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "transposed", "every second"])
@pytest.mark.parametrize("gate_shape", [(2, 3, 4, 5), (2, 1, 4, 5)])
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_the_operators_keep_to_what_they_declare(gate_shape, layout, threshold):
    case = make((2, 3, 4, 5), gate_shape, torch.float32)
    x, logits = LAYOUTS[layout](case.x), case.logits
    wanting = x.detach().requires_grad_(), logits.clone().requires_grad_()
    torch.library.opcheck(op.mask_apply, (*wanting, threshold))
    torch.library.opcheck(op.mask_apply_and_gate, (*wanting, threshold))
    for needs in ((True, True), (True, False), (False, True)):
        for grad_gate in (None, case.grad_gate):
            torch.library.opcheck(op.mask_apply_backward, (case.grad, grad_gate, x, logits, threshold, *needs))


@pytest.mark.parametrize("threshold", [None, 0.4])
@pytest.mark.parametrize("gate_shape", [(2, 20, 7, 6), (2, 1, 7, 6)])
def test_it_compiles_as_one_graph_with_the_operators_inside(gate_shape, threshold):
    case = make((2, 20, 7, 6), gate_shape, torch.float32, 9)
    graphs: list[torch.fx.GraphModule] = []

    def look(graph, _):
        graphs.append(graph)
        return graph

    x, logits = (t.requires_grad_() for t in case[:2])
    with backend("triton"):
        run = torch.compile(lambda a, b: mask_apply_and_gate(a, b, threshold=threshold), fullgraph=True, backend=look)
        values = run(x, logits)
        grads = torch.autograd.grad(values, (x, logits), case[2:])
    assert_near((*values, *grads), truth(case, threshold))
    assert len(graphs) == 1
    assert "occmask.mask_apply_and_gate" in graphs[0].code


def test_types_may_differ():
    case = make((3, 7), (3, 7), torch.float32)
    case = case._replace(logits=case.logits.half())
    gated, gate, _, grad_logits = values = found(case, None)
    assert (gated.dtype, gate.dtype, grad_logits.dtype) == (torch.float32, torch.float32, torch.float16)
    assert_near(values, truth(case, None))
