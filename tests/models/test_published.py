"""The published FROM network written out as one plain module, and ours filled from the same state dict."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import occmask
from occmask import Spec


class Block(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(cin)
        self.conv1 = nn.Conv2d(cin, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.prelu1 = nn.PReLU(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(cout)
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn3(self.conv2(self.prelu1(self.bn2(self.conv1(self.bn1(x))))))
        return y + (self.downsample(x) if hasattr(self, "downsample") else x)


class PublishedPyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.P5_1, self.P4_1, self.P3_1 = nn.Conv2d(512, 256, 1), nn.Conv2d(256, 256, 1), nn.Conv2d(128, 256, 1)
        self.P5_2, self.P4_2, self.P3_2 = (nn.Conv2d(256, 256, 3, 1, 1) for _ in range(3))
        self.P6, self.P7_2 = nn.Conv2d(512, 256, 3, 2, 1), nn.Conv2d(256, 256, 3, 2, 1)

    def forward(self, c3: Tensor, c4: Tensor, c5: Tensor) -> Tensor:
        p5 = self.P5_1(c5)
        p4 = self.P4_1(c4) + F.interpolate(p5, scale_factor=2, mode="nearest")
        return self.P3_2(self.P3_1(c3) + F.interpolate(p4, scale_factor=2, mode="nearest"))


class PublishedFrom(nn.Module):
    """112 x 96 input; `variant` is how its mask looks: full, spatial or vector."""

    def __init__(self, variant: str, k: int):
        super().__init__()
        self.variant, patterns = variant, (k * (k + 1) // 2) ** 2 + 1
        self.conv1, self.bn1, self.prelu1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        channels = 64
        for index, (depth, width) in enumerate(zip((3, 4, 14, 3), (64, 128, 256, 512), strict=True), start=1):
            blocks = [Block(channels, width, 2), *(Block(width, width, 1) for _ in range(depth - 1))]
            setattr(self, f"layer{index}", nn.Sequential(*blocks))
            channels = width
        self.fpn = PublishedPyramid()
        start = [nn.Conv2d(256, 256, 3, 2, 1, bias=False), nn.PReLU(256), nn.BatchNorm2d(256)]
        if variant == "vector":
            end = [nn.Conv2d(256, 64, 3, 2, 1, bias=False), nn.PReLU(64), nn.BatchNorm2d(64)]
            self.reduces = nn.Sequential(*start, *end)
            self.mask = nn.Sequential(nn.BatchNorm1d(2688), nn.Linear(2688, 512), nn.BatchNorm1d(512))
        else:
            end = [nn.Conv2d(256, 512, 3, 2, 1, bias=False)]
            if variant == "spatial":
                end += [nn.PReLU(512), nn.BatchNorm2d(512), nn.Conv2d(512, 1, 3, 1, 1, bias=False)]
            self.mask = nn.Sequential(*start, *end)
        elements = 512 if variant == "vector" else 21504
        self.regress = nn.Sequential(
            nn.BatchNorm1d(elements),
            nn.Dropout(0.5),
            nn.Linear(elements, patterns, bias=False),
            nn.BatchNorm1d(patterns),
        )
        self.fc = nn.Sequential(nn.BatchNorm1d(21504), nn.Dropout(0.5), nn.Linear(21504, 512), nn.BatchNorm1d(512))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Masked embedding, clean embedding, mask in [0, 1], pattern logits."""
        x = self.layer1(self.prelu1(self.bn1(self.conv1(x))))
        c3 = self.layer2(x)
        c4 = self.layer3(c3)
        c5 = self.layer4(c4)
        finest, clean = self.fpn(c3, c4, c5), self.fc(c5.flatten(1))
        if self.variant == "vector":
            mask = self.mask(self.reduces(finest).flatten(1)).sigmoid()
            return clean * mask, clean, mask, self.regress(mask)
        mask = self.mask(finest).sigmoid()
        copies = mask.expand(-1, 512, -1, -1)
        return self.fc((c5 * copies).flatten(1)), clean, mask, self.regress(copies.flatten(1))


def randomise(model: nn.Module, *, seed: int) -> nn.Module:
    """Random but tame: every BatchNorm has its own statistics, so that nothing can be swapped unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.weight.data.uniform_(0.8, 1.2, generator=generator)
            module.bias.data.uniform_(-0.1, 0.1, generator=generator)
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            fan = module.weight[0].numel()
            module.weight.data.normal_(0, fan**-0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.uniform_(-0.1, 0.1, generator=generator)
        elif isinstance(module, nn.PReLU):
            module.weight.data.uniform_(0.1, 0.4, generator=generator)
    return model.eval()


def relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.slow
@pytest.mark.parametrize("k", [4, 5])
@pytest.mark.parametrize("variant", ["full", "spatial", "vector"])
def test_ours_filled_from_the_published_layout_computes_the_same(variant, k, tmp_path):
    theirs = randomise(PublishedFrom(variant, k), seed=k)
    path = tmp_path / "model.pth.tar"
    state = {f"module.{name}": value for name, value in theirs.state_dict().items()}
    classifier = {"module.weight": torch.randn(20, 512)}
    torch.save({"state_dict": state, "classifier": classifier, "epoch": 3}, path)
    ours = occmask.build("from_r50", mask_decoder=variant, pattern_predictor=Spec("classification", k=k)).eval()
    loss = occmask.build_loss("cosface", embedding_dim=512, num_classes=20)
    report = occmask.load_weights(ours, path, loss=loss)
    images = torch.rand(2, 3, 112, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        masked, clean, mask, pattern = theirs(images)
        output = ours(images, occlusion=True, clean=True)
    assert relative(output.embedding, masked) < 1e-4
    assert relative(output.clean, clean) < 1e-4
    assert relative(output.mask.sigmoid(), mask) < 1e-4
    assert relative(output.pattern, pattern) < 1e-4
    assert torch.equal(loss.weight, classifier["module.weight"])
    layers = ("P4_2", "P5_2", "P6", "P7_2")
    assert set(report.unused) == {f"fpn.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert bool(report.converted) == (variant == "spatial")
    assert set(report.loaded) == set(ours.state_dict())
    assert not report.missing


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "model.pth.tar"
    torch.save({"state_dict": randomise(PublishedFrom("full", 4), seed=0).state_dict()}, path)
    return path


def test_another_k_is_refused_naming_the_k_that_would_work_and_changes_nothing(published):
    model = occmask.build("from_r50")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(
        occmask.CheckpointError, match=r"k=4.*\(101, 21504\) in the file, \(226, 21504\) in the model"
    ) as e:
        occmask.load_weights(model, published)
    assert "\n" not in str(e.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_another_variant_is_refused_naming_the_decoder_that_would_work(published):
    model = occmask.build("from_r50", mask_decoder="spatial", k=4)
    with pytest.raises(occmask.CheckpointError, match="mask_decoder='full'"):
        occmask.load_weights(model, published)


def test_the_trunk_alone_can_be_taken(published):
    model = occmask.build("from_r50")
    head = {name: value.clone() for name, value in model.head.state_dict().items()}
    report = occmask.load_weights(model, published, only=("backbone", "embedding"))
    assert all(name.startswith(("backbone.", "embedding.")) for name in report.loaded)
    assert all(name.startswith("head.") for name in report.missing)
    assert all(torch.equal(value, head[name]) for name, value in model.head.state_dict().items())
    assert torch.equal(model.backbone.conv1.weight, torch.load(published)["state_dict"]["conv1.weight"])


def test_a_prelu_with_one_slope_is_spread_over_the_channels(published, tmp_path):
    state = torch.load(published)["state_dict"]
    state["mask.1.weight"] = torch.tensor([0.3])
    torch.save({"state_dict": state}, tmp_path / "one.pth.tar")
    model = occmask.build("from_r50", k=4)
    report = occmask.load_weights(model, tmp_path / "one.pth.tar")
    assert report.converted == ("head.mask_decoder.1.weight",)
    assert torch.equal(model.head.mask_decoder[1].weight, torch.full((256,), 0.3))


def test_old_files_without_batch_counters_load_and_say_so(published, tmp_path):
    state = {k: v for k, v in torch.load(published)["state_dict"].items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    report = occmask.load_weights(occmask.build("from_r50", k=4), tmp_path / "old.pth")
    assert report.missing
    assert all(name.endswith("num_batches_tracked") for name in report.missing)
