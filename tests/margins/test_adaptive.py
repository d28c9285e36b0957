"""AdaFace, MagFace and ElasticFace against their papers' formulas, written out densely, and their state."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import occmask
from occmask import OptionError, Spec
from occmask.margins.adaptive import AdaFace, ElasticArcFace, ElasticCosFace, MagFace
from occmask.margins.functions import ArcFace, CosFace
from occmask.margins.loss import MarginLoss

ADAPTIVE = ["adaface", "magface", "elastic_arcface", "elastic_cosface"]


def build(spec: Spec | str, c: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> MarginLoss:
    torch.manual_seed(seed)
    return occmask.build_loss(spec, embedding_dim=d, num_classes=c).to(dtype)


def batch(b: int, c: int, d: int, seed: int, size: float = 3.0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    embedding = size * torch.randn(b, d, generator=g, dtype=torch.float64)
    return embedding.requires_grad_(), torch.randint(0, c, (b,), generator=g)


def cross_entropy(loss: MarginLoss, embedding: Tensor, label: Tensor, phi_of: object) -> Tensor:
    """Softmax cross-entropy on all logits, the target's replaced: the papers' own way of writing it."""
    cosine = F.normalize(embedding, dim=1) @ F.normalize(loss.weight, dim=1).t()
    target = cosine.gather(1, label[:, None]).squeeze(1)
    return F.cross_entropy(64 * cosine.scatter(1, label[:, None], phi_of(target)[:, None]), label)


def acos(cosine: Tensor) -> Tensor:
    return torch.acos(cosine.clamp(-(1 - 1e-7), 1 - 1e-7))


def assert_same_gradients(found: Tensor, expected: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)
    for a, e in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(a, e, rtol=1e-7, atol=1e-9)


sizes = {"b": st.integers(2, 8), "c": st.integers(2, 20), "d": st.integers(2, 12), "seed": st.integers(0, 9999)}


# -- AdaFace ---------------------------------------------------------------------------------------
@given(**sizes, size=st.sampled_from([0.01, 1.0, 8.0, 60.0]), training=st.booleans())
def test_adaface_is_the_published_loss(b, c, d, seed, size, training):
    loss, (embedding, label) = build("adaface", c, d, seed).train(training), batch(b, c, d, seed, size)
    norms = [min(max(math.sqrt(sum(x * x for x in row)), 0.001), 100.0) for row in embedding.tolist()]
    mean, std = 20.0, 100.0
    if training:
        batch_mean = sum(norms) / b
        batch_std = math.sqrt(sum((n - batch_mean) ** 2 for n in norms) / (b - 1))
        mean, std = 0.01 * batch_mean + 0.99 * mean, 0.01 * batch_std + 0.99 * std
    scaler = [min(max((n - mean) / (std + 1e-3) * 0.333, -1.0), 1.0) for n in norms]

    def phi(cosine: Tensor) -> Tensor:
        rows = []
        for value, s in zip(cosine, scaler, strict=True):
            theta = acos(value) + (-0.4 * s)
            rows.append(torch.cos(theta.clamp(0.001, math.pi - 0.001)) - (0.4 + 0.4 * s))
        return torch.stack(rows)

    expected = cross_entropy(loss, embedding, label, phi)
    assert_same_gradients(loss(embedding, label), expected, embedding, loss.weight)
    assert loss.margin.mean.item() == pytest.approx(mean, rel=1e-12)
    assert loss.margin.std.item() == pytest.approx(std, rel=1e-12)


def test_adaface_s_statistics_are_running_means_that_move_in_training_only():
    margin, mean, std = AdaFace(alpha=0.1).double(), 20.0, 100.0
    for step in range(6):
        norm = torch.tensor([3.0, 9.0 + step, 250.0, 0.0], dtype=torch.float64)  # 250 counts as 100, 0 as 0.001
        clipped = [3.0, 9.0 + step, 100.0, 0.001]
        margin(torch.zeros(4, dtype=torch.float64), norm)
        here = sum(clipped) / 4
        mean = 0.9 * mean + 0.1 * here
        std = 0.9 * std + 0.1 * math.sqrt(sum((n - here) ** 2 for n in clipped) / 3)
        assert (margin.mean.item(), margin.std.item()) == pytest.approx((mean, std), rel=1e-12)
    margin.eval()
    margin(torch.zeros(4, dtype=torch.float64), norm)
    assert (margin.mean.item(), margin.std.item()) == pytest.approx((mean, std), rel=1e-12)


def test_adaface_goes_from_an_angle_added_for_poor_faces_to_a_cosine_subtracted_for_sharp_ones():
    margin, cosine = AdaFace().eval(), torch.tensor([0.5, 0.5, 0.5])
    margin.mean.fill_(50)
    margin.std.fill_(1)
    phi = margin(cosine, torch.tensor([1.0, 50.0, 99.0]))
    theta = math.acos(0.5)
    assert phi.tolist() == pytest.approx([math.cos(theta + 0.4), 0.5 - 0.4, math.cos(theta - 0.4) - 0.8], abs=1e-6)


def test_adaface_gives_the_norm_no_gradient():
    cosine = torch.full((3,), 0.3, dtype=torch.float64, requires_grad=True)
    norm = torch.tensor([5.0, 20.0, 60.0], dtype=torch.float64, requires_grad=True)
    phi = AdaFace().double()(cosine, norm)
    assert torch.autograd.grad(phi.sum(), norm, allow_unused=True) == (None,)


@pytest.mark.parametrize("norms", [[float("nan"), 3.0], [7.0], []])
def test_a_batch_without_statistics_does_not_spoil_adaface_s(norms):
    margin = AdaFace()
    margin(torch.zeros(len(norms)), torch.tensor(norms))
    assert margin.mean.isfinite()
    assert margin.std.item() == 100
    assert (margin.mean.item() == 20) == (len(norms) != 1)


# -- MagFace ---------------------------------------------------------------------------------------
@given(**sizes, size=st.sampled_from([0.5, 10.0, 30.0, 200.0]))
def test_magface_is_the_published_loss_with_its_regulariser(b, c, d, seed, size):
    loss, (embedding, label) = build("magface", c, d, seed), batch(b, c, d, seed, size)
    a = embedding.square().sum(1).sqrt().clamp(10, 110)
    m = (0.8 - 0.45) / (110 - 10) * (a - 10) + 0.45
    g = (1 / a + a / 110**2).mean()
    expected = cross_entropy(loss, embedding, label, lambda cosine: torch.cos(acos(cosine) + m)) + 35 * g
    assert_same_gradients(loss(embedding, label), expected, embedding, loss.weight)


def test_magface_s_margin_is_arcface_s_at_both_ends_and_its_gradient_reaches_the_norm():
    cosine = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64)
    for guard in (False, True):
        for norm, margin in ((3.0, 0.45), (10.0, 0.45), (110.0, 0.8), (500.0, 0.8)):
            expected = ArcFace(margin=margin, monotone=guard)(cosine, cosine)
            found = MagFace(monotone=guard)(cosine, torch.full_like(cosine, norm))
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    norm = torch.tensor([5.0, 20.0, 60.0, 105.0, 130.0], dtype=torch.float64, requires_grad=True)
    far = torch.tensor([0.9, 0.1, -0.3, -0.95, 0.2], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(MagFace()(far, norm).sum(), norm)
    assert (slope != 0).tolist() == [False, True, True, True, False]
    for guard in (False, True):
        assert torch.autograd.gradcheck(MagFace(monotone=guard), (far, norm))
    assert torch.autograd.gradcheck(MagFace().regulariser, (norm,))


def test_magface_s_regulariser_falls_up_to_the_largest_norm_and_can_be_left_out():
    norm = torch.linspace(10, 110, 50)
    assert (MagFace().regulariser(norm).diff() < 0).all()
    embedding, label = batch(4, 5, 6, 0)
    without = build(Spec("magface", lambda_g=0), 5, 6, 0)(embedding, label)
    length = embedding.norm(dim=1).clamp(10, 110)
    extra = 35 * (length / 110**2 + 1 / length).mean()
    torch.testing.assert_close(build("magface", 5, 6, 0)(embedding, label), without + extra, rtol=1e-12, atol=0)


# -- ElasticFace -----------------------------------------------------------------------------------
PLAIN = {"elastic_arcface": ("arcface", 0.5), "elastic_cosface": ("cosface", 0.35)}


@pytest.mark.parametrize("name", PLAIN)
@given(**sizes, plus=st.booleans())
def test_elasticface_is_the_published_loss_with_margins_drawn_for_each_face(name, b, c, d, seed, plus):
    loss, (embedding, label) = build(Spec(name, plus=plus), c, d, seed), batch(b, c, d, seed)
    torch.manual_seed(seed)
    m = PLAIN[name][1] + 0.05 * torch.randn(b, dtype=torch.float64)
    if plus:
        with torch.no_grad():
            cosine = (F.normalize(embedding, dim=1) * F.normalize(loss.weight, dim=1)[label]).sum(1)
        farthest_first = sorted(range(b), key=lambda i: cosine[i].item())
        given_out = torch.empty_like(m)
        for i, value in zip(farthest_first, sorted(m.tolist(), reverse=True), strict=True):
            given_out[i] = value
        m = given_out

    def phi(cosine: Tensor) -> Tensor:
        return torch.cos(acos(cosine) + m) if name == "elastic_arcface" else cosine - m

    torch.manual_seed(seed)
    assert_same_gradients(loss(embedding, label), cross_entropy(loss, embedding, label, phi), embedding, loss.weight)


@pytest.mark.parametrize("factory", [ElasticArcFace, ElasticCosFace])
def test_elasticface_draws_anew_in_training_and_takes_the_mean_in_evaluation(factory):
    cosine = torch.linspace(-0.5, 0.5, 4000, dtype=torch.float64)
    margin = factory(std=0.1)
    torch.manual_seed(0)
    first, second = margin(cosine, cosine), margin(cosine, cosine)
    assert not torch.equal(first, second)
    drawn = torch.acos(first) - torch.acos(cosine) if factory is ElasticArcFace else cosine - first
    assert drawn.mean().item() == pytest.approx(margin.margin, abs=0.01)
    assert drawn.std().item() == pytest.approx(0.1, rel=0.05)
    plain = ArcFace() if factory is ElasticArcFace else CosFace()
    torch.testing.assert_close(margin.eval()(cosine, cosine), plain(cosine, cosine), rtol=1e-12, atol=1e-12)


def test_the_guard_of_elastic_arcface_is_arcface_s():
    cosine = torch.cos(torch.linspace(0, math.pi, 101, dtype=torch.float64))
    found = ElasticArcFace(monotone=True).eval()(cosine, cosine)
    torch.testing.assert_close(found, ArcFace(monotone=True)(cosine, cosine), rtol=1e-12, atol=1e-12)


# -- all of them -----------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_loss_and_gradients_are_finite_at_cosine_one_and_minus_one(name, sign, dtype):
    loss = build(name, 6, 4, 0, dtype)
    embedding = (sign * 5 * loss.weight.detach()).requires_grad_()
    value = loss(embedding, torch.arange(6))
    assert value.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, (embedding, loss.weight)))


@pytest.mark.parametrize("name", ADAPTIVE)
def test_an_embedding_of_zeros_has_a_finite_loss_and_gradient(name):
    loss = build(name, 5, 3, 0)
    embedding = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    value = loss(embedding, torch.tensor([0, 4]))
    assert value.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, (embedding, loss.weight)))


@pytest.mark.parametrize("name", [*ADAPTIVE, "curricularface", "mv_am_softmax", "mv_arc_softmax"])
def test_in_evaluation_the_loss_repeats_itself_and_keeps_its_state_which_a_state_dict_carries(name):
    loss, (embedding, label) = build(name, 6, 4, 0), batch(5, 6, 4, 0)
    for _ in range(3):
        loss(embedding, label)
    loss.eval()
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    first, second = loss(embedding, label), loss(embedding, label)
    assert torch.equal(first, second)
    assert all(torch.equal(before[key], value) for key, value in loss.state_dict().items())
    other = build(name, 6, 4, 1).eval()
    assert other(embedding, label) != first
    other.load_state_dict(before)
    assert torch.equal(other(embedding, label), first)


def test_the_state_is_in_the_loss_and_the_class_weights_stay_the_only_parameter():
    loss = build("adaface", 6, 4, 0)
    assert list(loss.state_dict()) == ["weight", "margin.mean", "margin.std"]
    assert [name for name, _ in loss.named_parameters()] == ["weight"]
    assert loss.to("meta").margin.mean.device.type == "meta"


@pytest.mark.parametrize(
    "spec",
    [Spec("adaface"), Spec("magface"), Spec("elastic_arcface", plus=True), Spec("elastic_cosface")],
    ids=repr,
)
def test_they_compile_as_one_graph_and_learn_the_same_state(spec):
    torch.compiler.reset()  # what other tests compiled of the same code, with another scale
    (embedding, label), plain, other = batch(4, 9, 6, 0), build(spec, 9, 6, 0), build(spec, 9, 6, 0)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    torch.manual_seed(1)
    expected = plain(embedding, label)
    torch.manual_seed(1)
    found = compiled(embedding, label)
    assert_same_gradients(found, expected, embedding)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adaface", {"margin": "0.4"}, "'margin' is a number"),
        ("adaface", {"h": -1}, "'h' is 0 or more"),
        ("adaface", {"alpha": 0}, r"'alpha' is the share that a batch renews, in \(0, 1\], not 0"),
        ("adaface", {"alpha": 1.5}, "'alpha'"),
        ("magface", {"l_a": 0}, "norms with 0 < l_a < u_a, not 0 and 110.0"),
        ("magface", {"u_a": 5}, "norms with 0 < l_a < u_a"),
        ("magface", {"lambda_g": -1}, "'lambda_g' is 0 or more"),
        ("magface", {"monotone": 1}, "'monotone' is True or False"),
        ("elastic_arcface", {"std": -0.1}, "'std' is 0 or more"),
        ("elastic_cosface", {"plus": "yes"}, "'plus' is True or False"),
        ("elastic_cosface", {"monotone": True}, "Options: margin, std, plus, scale$"),
        ("curricularface", {"alpha": 2}, "'alpha'"),
        ("curricularface", {"margin": None}, "'margin' is a number"),
        ("mv_am_softmax", {"t": -0.2}, "'t' is 0 or more"),
        ("mv_arc_softmax", {"monotone": None}, "'monotone' is True or False"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(name, options, message):
    with pytest.raises(OptionError, match=message):
        occmask.build_loss(name, embedding_dim=4, num_classes=3, **options)


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        ("adaface", {"margin": 0.4, "h": 0.333, "alpha": 0.01}),
        ("magface", {"l_m": 0.45, "u_m": 0.8, "l_a": 10.0, "u_a": 110.0, "lambda_g": 35.0, "monotone": False}),
        ("elastic_arcface", {"margin": 0.5, "std": 0.05, "plus": False, "monotone": False}),
        ("elastic_cosface", {"margin": 0.35, "std": 0.05, "plus": False}),
        ("curricularface", {"margin": 0.5, "alpha": 0.01, "monotone": True}),
        ("mv_am_softmax", {"margin": 0.35, "t": 0.2}),
        ("mv_arc_softmax", {"margin": 0.5, "t": 0.2, "monotone": False}),
    ],
)
def test_defaults_are_the_papers(name, defaults):
    assert occmask.MARGINS.options(name) == defaults
    loss = occmask.build_loss(name, embedding_dim=4, num_classes=3)
    assert loss.scale == (32 if name.startswith("mv") else 64)
    assert all(str(value) in repr(loss.margin) for value in defaults.values())
