"""Weights of somebody else: only when asked for, only into the network that they are for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import occmask

transformers = pytest.importorskip("transformers", reason="the networks are those of transformers")

Spec = occmask.Spec
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"}
CONVNEXT = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
SWIN = {"embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4]}
DINOV2 = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def classifier(kind: str) -> transformers.PreTrainedModel:
    """A network as it is published, with a classifier on top."""
    torch.manual_seed(3)
    if kind == "resnet":
        return transformers.ResNetForImageClassification(transformers.ResNetConfig(**RESNET))
    if kind == "convnext":
        return transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**CONVNEXT))
    if kind == "swin":
        return transformers.SwinForImageClassification(transformers.SwinConfig(**SWIN))
    return transformers.Dinov2Model(transformers.Dinov2Config(**DINOV2, image_size=5 * 14))


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    classifier(request.param).save_pretrained(tmp_path / "published")
    return tmp_path / "published"


@pytest.mark.parametrize(
    "folder, options",
    [("resnet", RESNET), ("convnext", CONVNEXT), ("swin", SWIN), ("dinov2", {**DINOV2, "positions": 5})],
    indirect=["folder"],
)
def test_published_weights_are_those_in_the_network(folder, options, request):
    kind = request.node.callspec.params["folder"]
    network = occmask.BACKBONES.build(Spec(f"transformers:{kind}", **options, pretrained=str(folder)), (112, 96))
    published = classifier(kind).state_dict()
    ours = network.network.state_dict()
    same = [name for name in ours if any(name in (key, key.partition(".")[2]) for key in published)]
    assert len(same) >= len(ours) - 10  # norms in front of the maps are not published
    for name in same:
        theirs = published[name] if name in published else published[f"{kind}.{name}"]
        assert torch.equal(ours[name], theirs), name


@pytest.mark.parametrize("folder", ["resnet"], indirect=True)
def test_pretrained_networks_see_what_they_were_trained_on(folder):
    """(x / 255 - mean) / std of ImageNet, from the library's (x - 127.5) / 127.5."""
    spec = Spec("transformers:resnet", **RESNET, enlarge=1, pretrained=str(folder))
    levels = torch.randint(0, 256, (2, 3, 112, 96)).double()
    network = occmask.BACKBONES.build(spec, (112, 96)).double()
    mean, std = (torch.tensor(v).double()[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose(network.picture((levels - 127.5) / 127.5), (levels / 255 - mean) / std, atol=1e-5)
    other = occmask.BACKBONES.build(spec.replace(image_mean=(0.5, 0.5, 0.5), image_std=(0.25, 0.25, 0.25)), (112, 96))
    assert torch.allclose(other.double().picture((levels - 127.5) / 127.5), (levels / 255 - 0.5) / 0.25, atol=1e-5)


def test_fresh_networks_see_the_picture_as_it_is():
    network = occmask.BACKBONES.build(Spec("transformers:resnet", **RESNET, enlarge=1), (112, 96))
    image = torch.rand(2, 3, 112, 96)
    assert torch.equal(network.picture(image), image)


@pytest.mark.parametrize("folder", ["convnext"], indirect=True)
def test_another_network_than_the_options_say_is_refused_with_the_options_it_has(folder):
    with pytest.raises(occmask.OptionError, match=r"it has depths=\[1, 1, 1, 1\], hidden_sizes=\[8, 16, 24, 32\]"):
        occmask.BACKBONES.build(Spec("transformers:convnext", pretrained=str(folder)), (112, 96))
    with pytest.raises(occmask.OptionError, match="is a 'convnext', not a 'resnet'"):
        occmask.BACKBONES.build(Spec("transformers:resnet", pretrained=str(folder)), (112, 96))


@pytest.mark.parametrize("folder", ["dinov2"], indirect=True)
def test_published_positions_are_asked_for_by_their_number(folder):
    with pytest.raises(occmask.OptionError, match="it has positions=5"):
        occmask.BACKBONES.build(Spec("transformers:dinov2", **DINOV2, pretrained=str(folder)), (112, 96))


@pytest.mark.parametrize("folder", ["resnet"], indirect=True)
def test_a_checkpoint_needs_the_published_weights_no_more(folder, tmp_path):
    model = occmask.build(
        occmask.ModelConfig(
            backbone=Spec("transformers:resnet", **RESNET, pretrained=str(folder)),
            head=None,
            embedding=Spec("flat", dim=16),
        )
    ).eval()
    occmask.save_weights(model, tmp_path / "net.safetensors")
    shutil.rmtree(folder)
    again = occmask.load_model(tmp_path / "net.safetensors")
    image = torch.rand(2, 3, 112, 96)
    assert torch.equal(again(image).embedding, model(image).embedding)  # ImageNet's statistics are in the file, too
    assert again.config == model.config
