"""The same with timm itself, where it imports: it needs a torchvision that fits the torch beside it."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch

import occmask
from occmask.testing import check_backbone

try:
    import_module("timm")
    reason = ""
except Exception as e:  # a torchvision for another torch raises what it likes
    reason = f"timm does not import here: {type(e).__name__}: {e}"
pytestmark = pytest.mark.skipif(bool(reason), reason=reason or "timm imports")

Spec = occmask.Spec


def config(backbone: Spec | str, **changes: object) -> occmask.ModelConfig:
    head = Spec("from", width=16, pattern_predictor=Spec("classification", k=2))
    return occmask.ModelConfig(backbone=backbone, head=head, embedding=Spec("flat", dim=16)).override(**changes)


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "mobilenetv3_small_050", "swin_s3_tiny_224"])
@pytest.mark.slow
def test_networks_of_timm_keep_the_protocol(name):
    check_backbone(f"timm:{name}", image_sizes=((112, 96),))


@pytest.mark.slow
def test_a_patch_transformer_of_timm_keeps_the_protocol_at_its_own_size():
    check_backbone(Spec("timm:vit_tiny_patch16_224", out_indices=(11,)), image_sizes=((112, 96),))


def test_maps_of_timm_are_as_large_as_those_of_lresnet():
    shapes = occmask.build(config("timm:convnext_atto")).backbone.shapes
    assert [shape[1:] for shape in shapes] == [(56, 48), (28, 24), (14, 12), (7, 6)]


def test_dinov2_of_timm_is_built_for_whole_patches():
    shapes = occmask.BACKBONES.build(Spec("timm:vit_small_patch14_dinov2", out_indices=(11,)), (112, 96)).shapes
    assert shapes == ((384, 16, 14),)


def test_networks_of_timm_that_do_not_fit_are_refused():
    with pytest.raises(occmask.OptionError, match="cannot take 224x192 pictures"):
        occmask.BACKBONES.build("timm:efficientformer_l1", (112, 96))
    with pytest.raises(occmask.UnknownNameError, match="Did you mean 'timm:resnet18'"):
        occmask.BACKBONES.build("timm:resnt18", (112, 96))


def test_weights_of_a_file_are_those_in_the_network(tmp_path):
    import timm

    published = timm.create_model("resnet10t").state_dict()
    torch.save(published, tmp_path / "resnet10t.pth")
    spec = Spec("timm:resnet10t", pretrained=str(tmp_path / "resnet10t.pth"))
    network = occmask.BACKBONES.build(spec, (112, 96))
    assert all(torch.equal(value, published[name]) for name, value in network.network.state_dict().items())
    with pytest.raises(occmask.UnknownNameError, match=r"timm:resnet10t\.c3_in1k"):
        occmask.BACKBONES.build("timm:resnet10t.nothing", (112, 96))


@pytest.mark.slow
def test_a_model_over_timm_is_saved_optimized_and_exported(tmp_path):
    torch.manual_seed(0)
    model = occmask.build(config("timm:resnet10t")).eval()
    occmask.save_weights(model, tmp_path / "net.safetensors")
    image = torch.rand(3, 3, 112, 96)
    with torch.inference_mode():
        expected = model(image).embedding
        assert torch.equal(occmask.load_model(tmp_path / "net.safetensors")(image).embedding, expected)
        assert torch.allclose(occmask.optimize(model)(image).embedding, expected, atol=1e-4)
    assert max(occmask.export(model, tmp_path / "face.pt2").difference.values()) <= 1e-4
