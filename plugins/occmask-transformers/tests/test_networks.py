"""The four networks keep the protocol of a backbone and do in a model what a backbone does."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

import occmask
from occmask.testing import check_backbone

pytest.importorskip("transformers", reason="the networks are those of transformers")

Spec = occmask.Spec
SMALL = {
    "resnet": Spec(
        "transformers:resnet", embedding_size=8, hidden_sizes=(8, 16, 24, 32), depths=(1, 1, 1, 1), layer_type="basic"
    ),
    "convnext": Spec("transformers:convnext", hidden_sizes=(8, 16, 24, 32), depths=(1, 1, 1, 1)),
    "swin": Spec("transformers:swin", embed_dim=8, depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 4)),
    "dinov2": Spec("transformers:dinov2", hidden_size=32, num_hidden_layers=2, num_attention_heads=2),
}
KINDS = pytest.mark.parametrize("kind", list(SMALL))


def config(kind: str, **changes: object) -> occmask.ModelConfig:
    """FROM over a small network: the full mask where the maps shrink, the deep one where they do not."""
    decoder = "deep" if kind == "dinov2" else "full"
    head = Spec("from", width=16, mask_decoder=decoder, pattern_predictor=Spec("classification", k=2))
    known = occmask.ModelConfig(backbone=SMALL[kind], head=head, embedding=Spec("flat", dim=16))
    return known.override(**changes)


def model(kind: str, **changes: object) -> occmask.FaceModel:
    torch.manual_seed(0)
    return occmask.build(config(kind, **changes))


def pictures(count: int = 2, size: tuple[int, int] = (112, 96)) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@KINDS
def test_every_network_keeps_the_protocol(kind):
    check_backbone(SMALL[kind], image_sizes=((112, 96),))


@KINDS
@pytest.mark.slow
def test_every_network_keeps_the_protocol_for_square_pictures_as_they_are(kind):
    check_backbone(SMALL[kind].replace(enlarge=1), image_sizes=((112, 112),))


@pytest.mark.parametrize("kind", ["resnet", "convnext", "swin"])
def test_the_maps_are_as_large_as_those_of_lresnet(kind):
    sizes = [shape[1:] for shape in model(kind).backbone.shapes]
    assert sizes == [(56, 48), (28, 24), (14, 12), (7, 6)]


def test_without_enlarging_maps_are_half_as_large():
    shapes = occmask.BACKBONES.build(SMALL["swin"].replace(enlarge=1), (112, 96)).shapes
    assert [shape[1:] for shape in shapes] == [(28, 24), (14, 12), (7, 6), (4, 3)]


@KINDS
def test_every_network_trains_a_few_steps(kind):
    faces = occmask.FaceSet.from_arrays(
        np.random.default_rng(0).integers(0, 256, (8, 112, 96, 3), dtype=np.uint8),
        np.arange(8) // 2,
        template="arcface",
    )
    network = model(kind)
    before = {name: p.detach().clone() for name, p in network.backbone.named_parameters()}
    loss = occmask.build_loss("cosface", embedding_dim=16, num_classes=4)
    recipe = occmask.RECIPES["from"](
        epochs=1, batch_size=4, optimiser=Spec("adamw", learning_rate=1e-3), starts_from=None
    )
    occmask.train(network, loss, faces, recipe, progress=False)
    trained = {name: p for name, p in network.backbone.named_parameters() if p.requires_grad}
    moved = [name for name, p in trained.items() if not torch.equal(before[name], p)]
    assert len(moved) >= 0.9 * len(trained)
    assert all(torch.isfinite(p).all() for p in trained.values())


@KINDS
def test_a_checkpoint_rebuilds_its_network_and_names_what_it_needs(kind, tmp_path, monkeypatch):
    saved = model(kind).eval()
    occmask.save_weights(saved, tmp_path / "net.safetensors")
    again = occmask.load_model(tmp_path / "net.safetensors")
    assert again.config == saved.config
    assert torch.equal(again(pictures()).embedding, saved(pictures()).embedding)
    for registry, value in ((occmask.BACKBONES, "_claims"), (occmask.BACKBONES, "_loaded")):
        monkeypatch.setattr(registry, value, {})
    with pytest.raises(
        occmask.CheckpointError,
        match=f"backbone 'transformers:{kind}' of occmask-transformers: pip install occmask-transformers",
    ):
        occmask.load_model(tmp_path / "net.safetensors")


@KINDS
def test_an_optimized_model_gives_the_same_embeddings(kind):
    original = model(kind).eval()
    with torch.inference_mode():
        expected = original(pictures(3)).embedding
        found = occmask.optimize(original)(pictures(3)).embedding
    assert (found - expected).norm(dim=1).max() <= 1e-4 * expected.norm(dim=1).max()


@KINDS
@pytest.mark.slow
def test_a_whole_model_is_exported_as_a_program(kind, tmp_path):
    report = occmask.export(model(kind).eval(), tmp_path / "face.pt2")
    assert max(report.difference.values()) <= 1e-4
    program = torch.export.load(tmp_path / "face.pt2").module()
    assert program(pictures(5))["embedding"].shape == (5, 16)


def test_options_go_by_their_short_names_and_through_json():
    changed = config("resnet").override(depths=(1, 2, 1, 1))
    assert changed.backbone == SMALL["resnet"].replace(depths=(1, 2, 1, 1))
    assert occmask.ModelConfig.from_dict(json.loads(json.dumps(changed.to_dict()))) == changed
    described = occmask.describe("backbone", "transformers:resnet")
    assert described.options["depths"] == (3, 4, 6, 3)
    assert described.options["pretrained"] is None


def test_fewer_maps_can_be_handed_on():
    shapes = occmask.BACKBONES.build(SMALL["resnet"].replace(out_indices=(2, 3, 4)), (112, 96)).shapes
    assert [shape.channels for shape in shapes] == [16, 24, 32]
    blocks = occmask.BACKBONES.build(SMALL["dinov2"].replace(out_indices=(1, 2)), (112, 96)).shapes
    assert blocks == ((32, 16, 14), (32, 16, 14))


@pytest.mark.parametrize(
    "spec, said",
    [
        (Spec("transformers:resnet", depths=(1, 1)), "one number a stage, not depths 2 and hidden_sizes 4"),
        (Spec("transformers:resnet", layer_type="bottle"), "layer_type=bottle is not one of basic,bottleneck"),
        (Spec("transformers:resnet", out_indices=(7,)), "cannot be built so"),
        (Spec("transformers:swin", num_heads=(5, 6, 12, 24)), "96 channels of stage 1 cannot be shared among 5"),
        (Spec("transformers:dinov2", positions=0), "at least 1"),
        (Spec("transformers:convnext", enlarge=0.5), "enlarge is at least 1"),
        (Spec("transformers:convnext", image_std=(1, 1)), "three numbers each"),
        (Spec("transformers:convnext", pretrained="no/such"), "nothing can be read from pretrained='no/such'"),
        (Spec("transformers:convnext", depth=3), "has no option 'depth'. Did you mean 'depths'"),
    ],
)
def test_options_that_cannot_be_are_refused(spec, said):
    with pytest.raises(occmask.OptionError, match=said):
        occmask.BACKBONES.build(spec, (112, 96))


def test_a_picture_that_is_too_small_is_refused():
    with pytest.raises(
        occmask.OptionError, match=r"convnext' cannot take 12x12 pictures .* choose a larger image_size"
    ):
        occmask.BACKBONES.build(SMALL["convnext"], (6, 6))


def test_a_network_that_is_not_there_is_told_what_is():
    with pytest.raises(occmask.UnknownNameError, match=r"'transformers:swim'. Did you mean 'transformers:swin'"):
        occmask.build("from_r50", backbone="transformers:swim")


def test_heads_that_need_a_pyramid_say_what_to_do_with_maps_of_one_size():
    with pytest.raises(occmask.OptionError, match="mask_decoder='deep', which needs no pyramid"):
        model("dinov2", mask_decoder="full")
    with pytest.raises(occmask.OptionError, match="or mask_decoder='deep'"):
        model("dinov2", mask_decoder="full", num_hidden_layers=3, backbone__out_indices=(1, 2, 3))


def test_dinov2_sees_the_last_columns_of_a_picture_that_is_no_whole_number_of_patches():
    network = occmask.BACKBONES.build(SMALL["dinov2"], (112, 96)).eval()
    assert network.picture.size == (224, 196)
    image = pictures(1)
    changed = image.clone()
    changed[..., -1] = 1.0
    assert not torch.allclose(network(image)[0], network(changed)[0], atol=1e-4)


def test_dinov2_interpolates_its_positions():
    wide = occmask.BACKBONES.build(SMALL["dinov2"].replace(positions=5), (112, 96)).eval()
    assert wide.network.embeddings.position_embeddings.shape[1] == 1 + 5 * 5
    assert wide(pictures(1))[0].shape == (1, 32, 16, 14)


def test_what_no_map_depends_on_is_not_trained():
    idle = [name for name, p in model("swin").backbone.named_parameters() if not p.requires_grad]
    assert idle
    assert all("layernorm" in name for name in idle)


@KINDS
def test_building_twice_from_one_seed_gives_the_same_network(kind):
    one, other = model(kind).state_dict(), model(kind).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@KINDS
def test_maps_are_finest_first(kind):
    assert all(a.height >= b.height for a, b in pairwise(model(kind).backbone.shapes))
