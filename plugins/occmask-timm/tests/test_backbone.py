"""What the plug-in makes of timm's answers, with a stand-in for timm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import occmask
from occmask.testing import check_backbone

Spec = occmask.Spec


def config(backbone: Spec | str = "timm:pyramid_tiny", **changes: object) -> occmask.ModelConfig:
    head = Spec("from", width=16, pattern_predictor=Spec("classification", k=2))
    return occmask.ModelConfig(backbone=backbone, head=head, embedding=Spec("flat", dim=16)).override(**changes)


def test_the_family_is_listed_before_timm_is_imported():
    code = (
        "import sys, occmask; print('timm:*' in list(occmask.BACKBONES), 'timm:resnet18' in occmask.BACKBONES);"
        "print({'timm', 'torch', 'occmask_timm'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.splitlines() == ["True True", "set()"], run.stderr


@pytest.mark.parametrize("name", ["pyramid_tiny", "swin_like", "vit_like"])
@pytest.mark.parametrize("size", [(112, 96), (112, 112)])
@pytest.mark.usefixtures("fake_timm")
def test_every_kind_of_network_keeps_the_protocol(name, size):
    check_backbone(f"timm:{name}", image_sizes=(size,))


@pytest.mark.usefixtures("fake_timm")
def test_the_shapes_are_those_of_the_maps_of_the_enlarged_picture():
    sizes = [(4, 56, 48), (8, 28, 24), (12, 14, 12), (16, 7, 6)]
    assert list(occmask.BACKBONES.build("timm:pyramid_tiny", (112, 96)).shapes) == sizes
    halved = occmask.BACKBONES.build(Spec("timm:pyramid_tiny", enlarge=1), (112, 96)).shapes
    assert [shape[1:] for shape in halved] == [(28, 24), (14, 12), (7, 6), (3, 3)]
    last = occmask.BACKBONES.build(Spec("timm:pyramid_tiny", out_indices=(1, -1)), (112, 96)).shapes
    assert list(last) == [sizes[1], sizes[3]]


@pytest.mark.usefixtures("fake_timm")
def test_maps_with_their_channels_last_are_turned():
    assert [shape.channels for shape in occmask.BACKBONES.build("timm:swin_like", (112, 96)).shapes] == [4, 8, 12, 16]


@pytest.mark.usefixtures("fake_timm")
def test_a_network_for_one_size_is_built_for_whole_patches():
    network = occmask.BACKBONES.build("timm:vit_like", (112, 96)).eval()
    assert network.shapes == ((6, 16, 14),)  # 192 pixels are 13.7 patches: 196 are looked at and none is cut off
    image = torch.zeros(1, 3, 112, 96)
    changed = image.clone()
    changed[..., -1] = 1
    assert not torch.equal(network(image)[0], network(changed)[0])


@pytest.mark.parametrize(
    "spec, error, said",
    [
        (Spec("timm:liar"), occmask.PluginError, r"feature_info tells of \(5, 9, 13, 17\) channels.*\(4, 8, 12, 16\)"),
        (Spec("timm:growing"), occmask.OptionError, "maps come finest first; leave some out with out_indices"),
        (Spec("timm:no_maps"), occmask.OptionError, "timm does not make it so .*features_only not implemented"),
        (Spec("timm:pyramid_tiny", out_indices=(9,)), occmask.OptionError, "timm does not make it so .*IndexError"),
        (Spec("timm:vit_like", drop_path_rate=0.1), occmask.OptionError, "timm does not make it so .*drop_path_rate"),
        (Spec("timm:pyramid_tiny", enlarge=0.5), occmask.OptionError, "enlarge is at least 1, not 0.5"),
        (Spec("timm:pyramid_tiny", pretrained=True), occmask.OptionError, "downloads nothing in a test"),
        (Spec("timm:pyramid_tiny", pretrain=True), occmask.OptionError, "Did you mean 'pretrained'"),
        (Spec("timm:pyramid_tin"), occmask.UnknownNameError, "Did you mean 'timm:pyramid_tiny'"),
        (Spec("timm:pyramid_tiny.in22k"), occmask.UnknownNameError, "Known: timm:pyramid_tiny, timm:pyramid_tiny.in1k"),
        (Spec("timm:pyramid_tiny", pretrained="none.pth"), occmask.OptionError, "there is no file 'none.pth'"),
        (Spec("timm:*"), occmask.OptionError, "is a family; put the name of one of it in place of the star"),
    ],
)
@pytest.mark.usefixtures("fake_timm")
def test_what_cannot_be_built_is_refused(spec, error, said):
    with pytest.raises(error, match=said):
        occmask.BACKBONES.build(spec, (112, 96))


@pytest.mark.usefixtures("fake_timm")
def test_a_picture_that_is_too_small_is_refused():
    with pytest.raises(occmask.OptionError, match="'timm:pyramid_tiny' cannot take 20x20 pictures"):
        occmask.BACKBONES.build("timm:pyramid_tiny", (10, 10))


@pytest.mark.usefixtures("fake_timm")
def test_heads_say_what_they_miss_in_a_network():
    with pytest.raises(occmask.OptionError, match=r"this backbone has only 1; .*mask_decoder='deep'"):
        occmask.build(config("timm:vit_like"))
    with pytest.raises(occmask.OptionError, match=r"and the top map is 3x3; .*mask_decoder='deep'"):
        occmask.build(config(), enlarge=1)
    assert occmask.build(config("timm:vit_like"), mask_decoder="deep").backbone.shapes[-1].channels == 6


@pytest.mark.usefixtures("fake_timm")
def test_what_no_map_depends_on_is_not_trained():
    network = occmask.BACKBONES.build("timm:pyramid_tiny", (112, 96))
    assert {n for n, p in network.named_parameters() if not p.requires_grad} == {
        "network.idle.weight",
        "network.idle.bias",
    }


@pytest.fixture
def published(fake_timm, tmp_path: Path) -> Path:
    torch.manual_seed(7)
    network = fake_timm.create_model("pyramid_tiny", features_only=True)
    torch.save(network.state_dict(), tmp_path / "published.pth")
    return tmp_path / "published.pth"


def test_pretrained_weights_and_their_statistics_come_from_a_file(published):
    network = occmask.BACKBONES.build(Spec("timm:pyramid_tiny", pretrained=str(published), enlarge=1), (112, 96))
    weights = torch.load(published, weights_only=True)
    assert all(torch.equal(value, weights[name]) for name, value in network.network.state_dict().items())
    levels = torch.randint(0, 256, (2, 3, 112, 96)).double()
    mean, std = (torch.tensor(v).double()[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    seen = network.double().picture((levels - 127.5) / 127.5)
    assert torch.allclose(seen, (levels / 255 - mean) / std, atol=1e-5)


@pytest.mark.usefixtures("fake_timm")
def test_fresh_networks_see_the_picture_as_it_is():
    network = occmask.BACKBONES.build(Spec("timm:pyramid_tiny", enlarge=1), (112, 96))
    image = torch.rand(2, 3, 112, 96)
    assert torch.equal(network.picture(image), image)


def test_a_checkpoint_needs_the_published_weights_no_more(published, tmp_path):
    model = occmask.build(config(Spec("timm:pyramid_tiny", pretrained=str(published)))).eval()
    occmask.save_weights(model, tmp_path / "net.safetensors")
    published.unlink()
    again = occmask.load_model(tmp_path / "net.safetensors")
    image = torch.rand(2, 3, 112, 96)
    assert torch.equal(again(image).embedding, model(image).embedding)
    assert again.config == model.config


@pytest.mark.usefixtures("fake_timm")
def test_a_checkpoint_names_the_missing_distribution(tmp_path, monkeypatch):
    occmask.save_weights(occmask.build(config()), tmp_path / "net.safetensors")
    for private in ("_claims", "_loaded"):
        monkeypatch.setattr(occmask.BACKBONES, private, {})
    with pytest.raises(occmask.CheckpointError, match="'timm:pyramid_tiny' of occmask-timm: pip install occmask-timm"):
        occmask.load_model(tmp_path / "net.safetensors")


@pytest.mark.usefixtures("fake_timm")
def test_options_go_by_their_short_names_and_through_json():
    changed = config().override(out_indices=(1, 2, 3))
    assert changed.backbone == Spec("timm:pyramid_tiny", out_indices=(1, 2, 3))
    assert occmask.ModelConfig.from_dict(json.loads(json.dumps(changed.to_dict()))) == changed
    described = occmask.describe("backbone", "timm:pyramid_tiny")
    assert described.summary == "timm's pyramid_tiny."
    assert described.options["pretrained"] is False
    assert "by its name there" in occmask.describe("backbone", "timm:*").summary


@pytest.mark.usefixtures("fake_timm")
@pytest.mark.slow
def test_a_model_trains_optimizes_and_exports(tmp_path):
    model = occmask.build(config())
    images = np.random.default_rng(0).integers(0, 256, (8, 112, 96, 3), dtype=np.uint8)
    faces = occmask.FaceSet.from_arrays(images, np.arange(8) // 2, template="arcface")
    before = model.backbone.network.stages[0][0].weight.detach().clone()
    loss = occmask.build_loss("cosface", embedding_dim=16, num_classes=4)
    adamw = Spec("adamw", learning_rate=1e-3)
    recipe = occmask.RECIPES["from"](epochs=1, batch_size=4, optimiser=adamw, starts_from=None)
    occmask.train(model, loss, faces, recipe, progress=False)
    assert not torch.equal(before, model.backbone.network.stages[0][0].weight)
    image = torch.rand(3, 3, 112, 96)
    with torch.inference_mode():
        expected = model(image).embedding
        assert torch.allclose(occmask.optimize(model)(image).embedding, expected, atol=1e-4)
    report = occmask.export(model, tmp_path / "face.pt2")
    assert max(report.difference.values()) <= 1e-4


def test_without_timm_the_error_says_what_to_install(fake_timm, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        occmask.PluginError, match=r"'occmask-timm' needs timm, and it does not import here .*torchvision"
    ):
        occmask.build(config())
