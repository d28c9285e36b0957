"""The loss against plain cross-entropy on the dense margin logits, its stability, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode

import occmask
from occmask import MARGINS, OptionError, ShapeError, Spec, UnknownNameError
from occmask.margins.loss import MarginLoss

SPECS = [
    Spec("cosface"),
    Spec("arcface"),
    Spec("arcface", monotone=True, margin=1.0),
    Spec("sphereface"),
    Spec("combined"),
    Spec("combined", m1=1.1, m2=0.2, m3=0.1),
    Spec("softmax"),
]
STRAIGHT = [spec.replace(gradient="straight_through") for spec in SPECS if spec.name not in ("cosface", "softmax")]


def build(spec: Spec, c: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> MarginLoss:
    torch.manual_seed(seed)
    return occmask.build_loss(spec, embedding_dim=d, num_classes=c).to(dtype)


def batch(b: int, c: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    embedding = 3 * torch.randn(b, d, generator=g, dtype=dtype)
    return embedding.requires_grad_(), torch.randint(0, c, (b,), generator=g)


def plain_phi(spec: Spec, cosine: Tensor) -> Tensor:
    """The margins once more, written out."""
    o = dict(spec.options)
    cosine = cosine.clamp(-(1 - 1e-7), 1 - 1e-7)
    theta = torch.acos(cosine)
    match spec.name:
        case "cosface":
            return cosine - o.get("margin", 0.35)
        case "arcface":
            m = o.get("margin", 0.5)
            phi = torch.cos(theta + m)
            return torch.where(theta > math.pi - m, cosine + math.cos(m) - 1, phi) if o.get("monotone") else phi
        case "sphereface":
            return torch.cos(o.get("margin", 1.5) * theta)
        case "combined":
            return torch.cos(o.get("m1", 1.0) * theta + o.get("m2", 0.3)) - o.get("m3", 0.2)
    return cosine


class UnitSlope(torch.autograd.Function):
    """phi's value, with d phi / d cos = 1, as a margin applied without gradient has."""

    @staticmethod
    def forward(ctx, cosine, phi):
        return phi.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


def dense_loss(spec: Spec, loss: MarginLoss, embedding: Tensor, label: Tensor) -> Tensor:
    cosine = F.normalize(embedding, dim=1) @ F.normalize(loss.weight, dim=1).t()  # (B, C)
    target = cosine.gather(1, label[:, None])
    phi = plain_phi(spec, target)
    if spec.options.get("gradient") == "straight_through":
        phi = UnitSlope.apply(target, phi)
    return F.cross_entropy(loss.scale * cosine.scatter(1, label[:, None], phi), label)


@pytest.mark.parametrize("spec", SPECS + STRAIGHT, ids=repr)
@settings(deadline=None, max_examples=40)
@given(
    b=st.integers(1, 8),
    c=st.integers(2, 20),
    d=st.integers(2, 12),
    scale=st.none() | st.floats(0.5, 200),
    seed=st.integers(0, 9999),
)
def test_loss_and_gradients_equal_dense_cross_entropy_in_float64(spec, b, c, d, scale, seed):
    spec = spec if scale is None else spec.replace(scale=scale)
    loss, (embedding, label) = build(spec, c, d, seed), batch(b, c, d, seed)
    found, expected = loss(embedding, label), dense_loss(spec, loss, embedding, label)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    for a, e in zip(
        torch.autograd.grad(found, (embedding, loss.weight)),
        torch.autograd.grad(expected, (embedding, loss.weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, e, rtol=1e-7, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(
    name=st.sampled_from(["cosface", "arcface"]),
    margin=st.floats(0, 1),
    seed=st.integers(0, 9999),
)
def test_the_margin_option_reaches_the_loss(name, margin, seed):
    spec = Spec(name, margin=margin)
    loss, (embedding, label) = build(spec, 9, 6, seed), batch(5, 9, 6, seed)
    torch.testing.assert_close(loss(embedding, label), dense_loss(spec, loss, embedding, label), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_float32_is_close_to_float64(spec):
    loss, (embedding, label) = build(spec, 500, 32, 0), batch(16, 500, 32, 0)
    exact = loss(embedding, label)
    exact_grads = torch.autograd.grad(exact, (embedding, loss.weight))
    low = build(spec, 500, 32, 0, torch.float32)
    low.load_state_dict({name: value.float() for name, value in loss.state_dict().items()})
    low_embedding = embedding.detach().float().requires_grad_()
    found = low(low_embedding, label)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(exact.item(), rel=1e-5)
    for a, e in zip(torch.autograd.grad(found, (low_embedding, low.weight)), exact_grads, strict=True):
        assert (a.double() - e).norm() <= 1e-4 * e.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("spec", SPECS + STRAIGHT, ids=repr)
def test_loss_and_gradients_are_finite_at_cosine_one_and_minus_one(spec, sign, dtype):
    loss = build(spec, 6, 4, 0, dtype)
    embedding = (sign * 5 * loss.weight.detach()).requires_grad_()
    value = loss(embedding, torch.arange(6))
    grads = torch.autograd.grad(value, (embedding, loss.weight))
    assert value.isfinite()
    assert all(g.isfinite().all() for g in grads)


def test_a_sure_right_answer_still_has_a_loss_where_subtracting_logits_has_none():
    loss = build(Spec("softmax", scale=64.0), 2, 2, 0, torch.float32)
    with torch.no_grad():
        loss.weight.copy_(torch.eye(2))
    embedding, label = torch.tensor([[1.0, 0.0]], requires_grad=True), torch.tensor([0])
    value = loss(embedding, label)
    assert value.item() == pytest.approx(math.exp(-64), rel=1e-4)
    assert dense_loss(loss.spec, loss, embedding, label).item() == 0
    (grad,) = torch.autograd.grad(value, embedding)
    assert grad[0, 1].item() == pytest.approx(64 * math.exp(-64), rel=1e-4)


def test_half_embeddings_give_a_float32_loss_and_half_gradients():
    loss = build(Spec("arcface"), 12, 8, 0, torch.float32)
    embedding, label = batch(4, 12, 8, 0, torch.float32)
    half = embedding.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(half, label)
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(half.detach().float(), label).item(), rel=1e-6)
    assert half.grad is not None
    assert half.grad.dtype == torch.bfloat16
    assert loss.weight.grad is not None
    assert loss.weight.grad.dtype == torch.float32


def test_an_embedding_of_zeros_has_a_finite_loss_and_gradient():
    loss = build(Spec("arcface"), 5, 3, 0)
    embedding = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    value = loss(embedding, torch.tensor([0, 4]))
    grads = torch.autograd.grad(value, (embedding, loss.weight))
    assert value.isfinite()
    assert all(g.isfinite().all() for g in grads)


def test_nan_reaches_the_loss():
    loss, (embedding, label) = build(Spec("arcface"), 5, 3, 0), batch(2, 5, 3, 0)
    with torch.no_grad():
        embedding[0, 0] = math.nan
    assert loss(embedding, label).isnan()


def test_a_step_of_descent_lowers_the_loss_and_ends_in_right_predictions():
    loss, (embedding, label) = build(Spec("cosface"), 4, 8, 0), batch(12, 4, 8, 0)
    before = loss(embedding, label).item()
    optimizer = torch.optim.SGD([embedding, loss.weight], lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        loss(embedding, label).backward()
        optimizer.step()
    assert loss(embedding, label).item() < before / 10
    assert torch.equal(loss.predict(embedding), label)


@settings(deadline=None, max_examples=30)
@given(c=st.integers(2, 60), chunk=st.integers(1, 70), seed=st.integers(0, 999))
def test_predictions_are_the_dense_argmax_whatever_the_chunk(c, chunk, seed):
    loss, (embedding, _) = build(Spec("cosface"), c, 5, seed), batch(7, c, 5, seed)
    expected = (embedding @ F.normalize(loss.weight, dim=1).t()).argmax(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("occmask.margins.loss.DEFAULT_CHUNK", chunk)
        found = loss.predict(embedding)
    assert found.dtype == torch.int64
    assert not found.requires_grad
    assert torch.equal(found, expected)


@settings(deadline=None, max_examples=30)
@given(c=st.integers(2, 60), seed=st.integers(0, 999))
def test_the_target_s_rank_counts_the_other_classes_that_come_closer(c, seed):
    loss, (embedding, label) = build(Spec("cosface"), c, 5, seed), batch(7, c, 5, seed)
    cosine = F.normalize(embedding, dim=1) @ F.normalize(loss.weight, dim=1).t()
    nearest_first = cosine.argsort(dim=1, descending=True)
    expected = (nearest_first == label[:, None]).int().argmax(1)  # where the own class stands
    found = loss.target_rank(embedding, label)
    assert found.dtype == torch.int64
    assert not found.requires_grad
    assert torch.equal(found, expected)
    assert torch.equal(found == 0, loss.predict(embedding) == label)
    for k in (1, 2, 5):
        top = torch.topk(cosine, min(k, c)).indices
        assert torch.equal(found < k, (top == label[:, None]).any(1))


def test_a_spoilt_face_is_never_ranked_right():
    loss, (embedding, label) = build(Spec("cosface"), 5, 3, 0), batch(2, 5, 3, 0)
    with torch.no_grad():
        embedding[1] = math.nan
    assert loss.target_rank(embedding, label)[1] == 4


@settings(deadline=None, max_examples=30)
@given(name=st.sampled_from(sorted(set(MARGINS) - {"adaface"})), b=st.integers(1, 8), seed=st.integers(0, 999))
def test_the_loss_is_the_mean_of_the_faces_each_of_which_is_its_own_loss(name, b, seed):
    loss, (embedding, label) = build(Spec(name), 9, 6, seed).eval(), batch(b, 9, 6, seed)
    losses = loss.per_face(embedding, label)
    assert losses.shape == (b,)
    assert torch.equal(losses.mean(), loss(embedding, label))
    alone = torch.stack([loss(embedding[i : i + 1], label[i : i + 1]) for i in range(b)])
    torch.testing.assert_close(losses, alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", list(MARGINS))
def test_an_empty_batch_costs_nothing_teaches_nothing_and_changes_nothing(name):
    loss = build(Spec(name), 5, 4, 0)
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    embedding = torch.zeros(0, 4, dtype=torch.float64, requires_grad=True)
    label = torch.zeros(0, dtype=torch.int64)
    value = loss(embedding, label)
    value.backward()
    assert value.item() == 0
    assert embedding.grad.shape == (0, 4)
    assert torch.equal(loss.weight.grad, torch.zeros(5, 4, dtype=torch.float64))
    assert loss.per_face(embedding, label).shape == loss.target_rank(embedding, label).shape == (0,)
    assert loss.predict(embedding).shape == (0,)
    assert all(torch.equal(before[key], kept) for key, kept in loss.state_dict().items())


class AsOnAGPU(TorchFunctionMode):
    """Tensors say that they are on a GPU, and looking at a value, which would wait for it, fails."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func == Tensor.is_cuda.__get__:
            return True
        assert func not in (Tensor.item, Tensor.tolist, Tensor.__bool__, Tensor.__int__), "waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["curricularface", "mv_am_softmax"])
def test_labels_on_a_gpu_are_not_waited_for_and_one_out_of_range_makes_its_face_s_loss_nan(name):
    loss, (embedding, _) = build(Spec(name), 3, 4, 0), batch(4, 3, 4, 0)
    label = torch.tensor([0, 3, -1, 2])
    with pytest.raises(ShapeError):
        loss.per_face(embedding, label)
    with AsOnAGPU():
        losses = loss.per_face(embedding, label)
        rank = loss.target_rank(embedding, label)
    assert losses.isnan().tolist() == [False, True, True, False]
    assert rank.tolist()[1:3] == [3, 3]
    with AsOnAGPU(), pytest.raises(AssertionError, match="waits"):
        label.tolist()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["cosface", "mv_am_softmax"])
def test_a_label_out_of_range_on_a_gpu_makes_its_face_s_loss_nan(name):
    loss = occmask.build_loss(name, embedding_dim=4, num_classes=3).cuda()
    losses = loss.per_face(torch.randn(4, 4).cuda(), torch.tensor([0, 3, -1, 2]).cuda())
    assert losses.isnan().tolist() == [False, True, True, False]
    assert loss.target_rank(torch.randn(2, 4).cuda(), torch.tensor([3, -1]).cuda()).tolist() == [3, 3]


def test_the_weight_is_one_xavier_uniform_parameter():
    loss = build(Spec("cosface"), 400, 100, 0, torch.float32)
    bound = math.sqrt(6 / 500)
    assert [(name, tuple(p.shape)) for name, p in loss.named_parameters()] == [("weight", (400, 100))]
    assert 0.99 * bound < loss.weight.abs().max().item() <= bound
    assert loss.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize(
    ("name", "scale"), [("cosface", 30), ("arcface", 64), ("sphereface", 64), ("combined", 64), ("softmax", 30)]
)
def test_scale_is_the_spec_s_or_the_margin_s_default(name, scale):
    assert occmask.build_loss(name, embedding_dim=4, num_classes=3).scale == scale
    assert occmask.build_loss(name, embedding_dim=4, num_classes=3, scale=12).scale == 12
    assert occmask.build_loss(Spec(name, scale=12), embedding_dim=4, num_classes=3).spec == Spec(name, scale=12)


def test_a_margin_registered_outside_the_library_works_through_build_loss():
    @MARGINS.register("test_norm_margin")
    class NormMargin:
        default_scale = 16.0

        def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
            return cosine - 0.01 * norm

    loss = occmask.build_loss("test_norm_margin", embedding_dim=6, num_classes=5).double()
    embedding, label = batch(4, 5, 6, 0)
    cosine = F.normalize(embedding, dim=1) @ F.normalize(loss.weight, dim=1).t()
    margin = F.one_hot(label, 5).double() * 0.01 * embedding.norm(dim=1, keepdim=True)
    expected = F.cross_entropy(16.0 * (cosine - margin), label)
    found = loss(embedding, label)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(found, embedding)[0], torch.autograd.grad(expected, embedding)[0], rtol=1e-8, atol=1e-10
    )
    with pytest.raises(OptionError, match=r"no option 'scael'\. Did you mean 'scale'\? Options: scale"):
        occmask.build_loss("test_norm_margin", embedding_dim=6, num_classes=5, scael=2)


def test_a_margin_that_answers_another_shape_is_named():
    @MARGINS.register("test_column_margin")
    class Column:
        default_scale = 16.0

        def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
            return cosine[:, None]

    loss = occmask.build_loss("test_column_margin", embedding_dim=6, num_classes=5)
    with pytest.raises(ShapeError, match=r"'test_column_margin' returned \(2, 1\); phi is \(2,\)"):
        loss(torch.ones(2, 6), torch.tensor([0, 1]))


def test_a_margin_without_a_default_scale_asks_for_one():
    MARGINS.register("test_scaleless", lambda: lambda cosine, norm: cosine)
    with pytest.raises(OptionError, match="has no default_scale; give option 'scale'"):
        occmask.build_loss("test_scaleless", embedding_dim=6, num_classes=5)
    assert occmask.build_loss("test_scaleless", embedding_dim=6, num_classes=5, scale=8).scale == 8


def test_it_compiles_as_one_graph():
    torch.compiler.reset()  # what other tests compiled of the same code, with another scale
    loss, (embedding, label) = build(Spec("arcface"), 9, 6, 0), batch(4, 9, 6, 0)
    found = torch.compile(loss, fullgraph=True, backend="aot_eager")(embedding, label)
    expected = loss(embedding, label)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(found, embedding), torch.autograd.grad(expected, embedding))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("arcface", {"margn": 0.5}, r"'arcface' has no option 'margn'\. Did you mean 'margin'\? Options: .*scale"),
        (
            "arcface",
            {"scal": 64},
            r"no option 'scal'\. Did you mean 'scale'\? Options: margin, gradient, monotone, s",
        ),
        ("combined", {"margin": 0.5}, "no option 'margin'.* Options: m1, m2, m3, gradient, monotone, scale"),
        ("softmax", {"margin": 0.5}, "Options: scale$"),
        ("arcface", {"scale": 0}, "'scale' is a finite number above 0"),
        ("arcface", {"scale": math.inf}, "'scale'"),
        ("arcface", {"scale": "64"}, "'scale'"),
        ("arcface", {"margin": "0.5"}, "'margin' is a number"),
        ("arcface", {"precision": "fp8"}, "precision is one of fp16, bf16, tf32, ieee or None, not 'fp8'"),
        ("arcface", {"cache": "all"}, "cache is a number of bytes, 'auto' or None"),
        ("arcface", {"cache": -1}, "cache is a number of bytes"),
    ],
)
def test_an_unknown_or_unusable_option_is_named_with_those_that_work(name, options, message):
    with pytest.raises(OptionError, match=message):
        occmask.build_loss(name, embedding_dim=4, num_classes=3, **options)


@pytest.mark.parametrize("cache", [0, "auto"])
def test_precision_and_cache_reach_the_kernels_and_leave_the_loss_what_it_is(cache):
    loss, (embedding, label) = build(Spec("cosface"), 40, 8, 0), batch(6, 40, 8, 0)
    rounded = occmask.build_loss("cosface", embedding_dim=8, num_classes=40, precision="bf16", cache=cache).double()
    rounded.load_state_dict(loss.state_dict())
    assert rounded(embedding, label).item() == pytest.approx(loss(embedding, label).item(), rel=2e-2)
    assert rounded(embedding, label).item() != loss(embedding, label).item()


def test_an_unknown_margin_is_named_with_its_neighbour():
    with pytest.raises(UnknownNameError, match="Did you mean 'arcface'"):
        occmask.build_loss("arcfase", embedding_dim=4, num_classes=3)


@pytest.mark.parametrize(("sizes", "message"), [((4, 1), "num_classes"), ((4, 2.5), "num_classes"), ((0, 3), "dim")])
def test_sizes_that_make_no_classifier_are_refused(sizes, message):
    with pytest.raises(OptionError, match=message):
        occmask.build_loss("cosface", embedding_dim=sizes[0], num_classes=sizes[1])


X, Y = torch.ones(2, 4), torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("embedding", "label", "message"),
    [
        (X[:, :3], Y, r"embedding is \(B, 4\), not \(2, 3\)"),
        (X[0], Y, r"embedding is \(B, 4\)"),
        (X.long(), Y, "floating point"),
        (X.to("meta"), Y, "embedding is on meta"),
        (X, Y[:1], r"\(2,\), not \(1,\)"),
        (X, Y[:, None], r"\(2,\), not \(2, 1\)"),
        (X, Y.float(), "torch.int64"),
        (X, Y.to("meta"), "label is on meta"),
        (X, Y + 1, r"label 3 is no class of this loss: num_classes=3, so labels are 0\.\.2"),
        (X, Y - 1, "label -1 is no class"),
    ],
)
def test_bad_input_is_a_shape_error_that_says_what_fits(embedding, label, message):
    loss = occmask.build_loss("cosface", embedding_dim=4, num_classes=3)
    with pytest.raises(ShapeError, match=message):
        loss(embedding, label)
