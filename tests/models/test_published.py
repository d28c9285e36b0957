"""The published FROM network written out as one plain module, and ours filled from the same state dict."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import occmask
from benchmarks.published import PublishedFrom, randomise
from occmask import Spec


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
        masked, clean, mask, pattern, _ = theirs(images)
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
