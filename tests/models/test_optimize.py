"""The inference form: the same embeddings from fewer layers, whatever the model is made of."""

from __future__ import annotations

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import occmask
from benchmarks.published import randomise
from occmask.map_layers import MapLinear, MapNorm
from occmask.models.folding import fold_batchnorms
from occmask.models.packing import PackedConv2d, pack_convolutions

DEEPER = ("iresnet34", "iresnet100", "iresnet200")  # more of what iresnet18 and iresnet50 are made of
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, MapNorm)


def faces(count=3, size=(112, 96)):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def require_same_embeddings(model, optimized, images):
    before = model.training
    with torch.inference_mode():
        wanted, found = model.eval()(images, clean=True), optimized(images, clean=True)
    model.train(before)
    for ours, theirs in ((found.embedding, wanted.embedding), (found.clean, wanted.clean)):
        assert relative(ours, theirs) < 1e-5
        assert (1 - F.cosine_similarity(ours.double(), theirs.double())).abs().max() < 1e-5
    assert (found.mask is None) == (wanted.mask is None)
    if found.mask is not None:
        assert relative(found.mask, wanted.mask) < 1e-4


def settle(model, images):
    """Random weights with the statistics that go with them, as training leaves them.

    Statistics at random let a deep trunk's features grow without bound, until the mask is so steep that float32 itself
    is off by more than 1e-5: bringing a random from_r100 to channels-last and nothing else moves it by 2e-4.
    """
    for module in randomise(model, seed=0).modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 1.0
    with torch.no_grad():
        model(images)
    return model.eval()


def norms(model):
    return [name for name, module in model.named_modules() if isinstance(module, NORMS)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in occmask.list_models() if name not in DEEPER])
def test_every_preset_embeds_alike(name):
    model = occmask.build(name)
    size = model.config.image_size
    settle(model, faces(4, size))
    require_same_embeddings(model, occmask.optimize(model), faces(2, size))


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("decoder", occmask.MASK_DECODERS)
def test_every_mask_decoder_embeds_alike(decoder, threshold):
    model = randomise(occmask.build("from_tiny", mask_decoder=decoder), seed=1)
    optimized = occmask.optimize(model)
    if threshold is not None:  # a mask at the threshold itself would fall to either side: take the model's own logits
        logits = model.eval()(faces()).mask
        model.threshold = optimized.threshold = threshold
        model.head.mask_logits = optimized.head.mask_logits = lambda maps: logits
    require_same_embeddings(model, optimized, faces())


def test_only_norms_before_a_padded_convolution_or_behind_a_prelu_are_left():
    model = occmask.optimize(occmask.build("from_tiny"))
    first = [f"backbone.layer{stage}.0.bn1" for stage in (1, 2, 3, 4)]
    assert norms(model) == [*first, "head.mask_decoder.2"]
    assert model.head.pattern_predictor is None
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in model.parameters() if p.ndim == 4)
    assert not any(p.requires_grad for p in model.parameters())
    assert not model.training


def test_the_given_model_stays_as_it_was():
    model = randomise(occmask.build("from_tiny"), seed=0).train()
    before, kinds = copy.deepcopy(model.state_dict()), [type(m) for m in model.modules()]
    optimized = occmask.optimize(model)
    assert model.training
    assert [type(m) for m in model.modules()] == kinds
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())
    assert not {p.data_ptr() for p in model.parameters()} & {p.data_ptr() for p in optimized.parameters()}
    assert optimized.config == model.config


def test_a_model_optimized_twice_is_the_same_and_float64_works():
    model = randomise(occmask.build("from_tiny"), seed=0).double()
    once = occmask.optimize(model)
    twice = occmask.optimize(once)
    with torch.inference_mode():
        wanted = model(faces().double()).embedding
        assert relative(once(faces().double()).embedding, wanted) < 1e-12
        assert torch.equal(twice(faces().double()).embedding, once(faces().double()).embedding)


def test_an_optimized_model_exports_and_compiles():
    optimized = occmask.optimize(randomise(occmask.build("from_tiny"), seed=0))
    images = faces(2)
    wanted = optimized(images).embedding
    exported = torch.export.export(optimized, (images,), strict=False).module()
    torch.testing.assert_close(exported(images).embedding, wanted)
    torch.testing.assert_close(torch.compile(optimized, backend="aot_eager")(images).embedding, wanted)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m, path: m(faces(), occlusion=True), "ask the original model"),
        (lambda m, path: m.occlusion_answer(m(faces())), "ask the original model"),
        (lambda m, path: m.occlusion_loss(m(faces()), None), "ask the original model"),
        (lambda m, path: m.train(), "train the original and optimize it again"),
        (lambda m, path: occmask.save_weights(m, path / "m.safetensors"), "save the original"),
        (lambda m, path: occmask.load_weights(m, path / "m.safetensors"), "fill the original"),
        (lambda m, path: occmask.optimize(nn.Linear(2, 2)), "occmask.build makes, not a Linear"),
    ],
)
def test_what_takes_the_original_says_so(call, words, tmp_path):
    with pytest.raises(occmask.OptionError, match=words) as e:
        call(occmask.optimize(occmask.build("from_tiny")), tmp_path)
    assert "\n" not in str(e.value)
    assert not list(tmp_path.iterdir())


# -- other people's parts --------------------------------------------------------------------------
class Shared(nn.Module):
    """One of everything that must be left alone, and two pairs that need not be."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.twice, self.norm_of_twice = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.read_twice, self.norm_of_read_twice = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.hooked, self.norm_of_hooked = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.hooked.register_forward_hook(lambda _, args, out: 2 * out)
        self.padded_after, self.padded = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)
        self.between, self.norm_of_between = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.scaled, self.norm_of_scaled = Scaled(4, 4, 1), nn.BatchNorm2d(4)
        self.grouped_after, self.grouped = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1, groups=2)
        self.unpadded_after, self.unpadded = nn.BatchNorm2d(4), nn.Conv2d(4, 5, (3, 1), bias=False)

    def forward(self, x):
        x = self.norm(self.conv(x))
        x = self.norm_of_twice(self.twice(self.twice(x)))
        y = self.read_twice(x.relu())
        x = self.norm_of_read_twice(y) + y
        x = self.norm_of_hooked(self.hooked(x))
        x = self.padded(self.padded_after(x.relu()))
        x = self.norm_of_between(self.between(x).relu())
        x = self.norm_of_scaled(self.scaled(x))
        x = self.grouped(self.grouped_after(x.relu()))
        return self.unpadded(self.unpadded_after(x.relu()))


class Scaled(nn.Conv2d):
    """A convolution by name, and something else in truth."""

    def forward(self, x):
        return super().forward(x).relu()


def test_only_what_is_exact_is_folded():
    module = randomise(Shared(), seed=0)
    x = faces(2, (9, 8))
    wanted = module(x)
    assert fold_batchnorms(module, (x,)) is not None
    torch.testing.assert_close(module(x), wanted, rtol=1e-5, atol=1e-6)
    folded = [name for name, child in module.named_modules() if isinstance(child, nn.Identity)]
    assert folded == ["norm", "unpadded_after"]


def test_linear_layers_fold_on_rows_and_not_on_sequences():
    rows = randomise(nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 5), nn.BatchNorm1d(5)), seed=0)
    x = torch.rand(3, 4)
    wanted = rows(x)
    fold_batchnorms(rows, (x,))
    assert norms(rows) == []
    torch.testing.assert_close(rows(x), wanted)
    sequence = randomise(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4)), seed=0)
    x = torch.rand(3, 4, 4)
    wanted = sequence(x)
    fold_batchnorms(sequence, (x,))
    assert norms(sequence) == ["0", "2"]
    assert torch.equal(sequence(x), wanted)


class Undecided(nn.Module):
    """A head that cannot be exported: it looks at its data."""

    threshold = None

    def __init__(self, shapes):
        super().__init__()
        channels = shapes.maps[-1].channels
        self.conv, self.norm = nn.Conv2d(channels, 1, 3, 1, 1), nn.BatchNorm2d(1)

    def forward(self, maps):
        logits = self.norm(self.conv(maps[-1]))
        return occmask.Occlusion(logits if logits.mean() > 0 else -logits, logits.mean((1, 2, 3))[:, None])


class Attached(nn.Module):
    """A head that reads a plain attribute of its predictor on the way to the mask."""

    def __init__(self, shapes):
        super().__init__()
        self.conv = nn.Conv2d(shapes.maps[-1].channels, 1, 1)
        self.predictor = MapLinear((1, 7, 6), 3)

    def mask_logits(self, maps):
        return self.conv(maps[-1]) / self.predictor.features

    def forward(self, maps):
        mask = self.mask_logits(maps)
        return occmask.Occlusion(mask, self.predictor(mask.sigmoid()))


@pytest.mark.parametrize("head, kept", [(Undecided, "norm"), (Attached, "predictor")])
def test_a_head_that_cannot_be_followed_is_left_as_it_is(head, kept):
    occmask.HEADS.register("test_stubborn", head)
    model = randomise(occmask.build("from_tiny", head="test_stubborn"), seed=0)
    optimized = occmask.optimize(model)
    require_same_embeddings(model, optimized, faces())
    assert type(getattr(optimized.head, kept)) is type(getattr(model.head, kept))
    assert not any("bn2" in name for name in norms(optimized))


def test_a_model_without_a_head_is_optimized_too():
    model = randomise(occmask.build("from_tiny", head=None), seed=0)
    require_same_embeddings(model, occmask.optimize(model), faces())


def packed(model) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, PackedConv2d) and "weight" in m._packed]


def test_convolutions_are_packed_at_the_first_call_and_give_the_same_at_any_size():
    conv = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 6, 1, bias=False)).eval()
    expected = copy.deepcopy(conv)
    pack_convolutions(conv)
    with torch.no_grad():
        for size in ((2, 3, 9, 8), (5, 3, 12, 7), (1, 3, 1, 1)):
            for form in (torch.contiguous_format, torch.channels_last):
                x = torch.randn(size).contiguous(memory_format=form)
                torch.testing.assert_close(conv(x), expected(x), rtol=1e-5, atol=1e-6)
    assert len(packed(conv)) == 2
    assert list(conv.state_dict()) == list(expected.state_dict())


def test_what_cannot_run_packed_runs_as_ever():
    conv = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    pack_convolutions(conv)
    x = torch.randn(2, 3, 5, 5, requires_grad=True)
    (grad,) = torch.autograd.grad(conv(x).sum(), x)
    assert grad.any()
    assert conv.double()(x.detach().double()).dtype == torch.float64
    assert not packed(conv)


def test_a_packed_model_can_be_copied_pickled_moved_and_compiled():
    model = occmask.optimize(randomise(occmask.build("from_tiny"), seed=0))
    images = torch.rand(2, 3, 112, 96) * 2 - 1
    with torch.inference_mode():
        expected = model(images).embedding
        assert packed(model)
        again = copy.deepcopy(model)
        assert not packed(again)
        torch.testing.assert_close(again(images).embedding, expected, rtol=1e-5, atol=1e-5)
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        torch.testing.assert_close(torch.load(file, weights_only=False)(images).embedding, expected)
        compiled = torch.compile(model, backend="aot_eager")
        torch.testing.assert_close(compiled(images).embedding, expected, rtol=1e-4, atol=1e-4)
        wide = model.double()(images.double()).embedding
        torch.testing.assert_close(wide.float(), expected, rtol=1e-3, atol=1e-3)
