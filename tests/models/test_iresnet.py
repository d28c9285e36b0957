"""InsightFace's trunks among the backbones, and their plain recognisers among the models."""

from __future__ import annotations

import pytest
import torch

import occmask
from occmask import Spec

DEPTHS = (18, 34, 50, 100, 200)


@pytest.mark.parametrize("depth, blocks", list(zip(DEPTHS, (8, 16, 24, 49, 98), strict=True)))
def test_a_short_name_is_the_depth_of_the_same_trunk(depth, blocks):
    with torch.device("meta"):
        short = occmask.BACKBONES.build(f"iresnet{depth}", (112, 112))
        long = occmask.BACKBONES.build(Spec("iresnet", depth=depth), (112, 112))
    assert {n: t.shape for n, t in short.state_dict().items()} == {n: t.shape for n, t in long.state_dict().items()}
    assert sum(name.endswith(".conv2.weight") for name in short.state_dict()) == blocks
    assert [tuple(shape) for shape in short.shapes] == [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_depth_is_a_plain_recogniser_of_112x112_crops(depth):
    config = occmask.MODELS[f"iresnet{depth}"]()
    assert config.head is None
    assert config.image_size == (112, 112)
    assert config.backbone == Spec("iresnet", depth=depth)
    assert config.embedding.options["dropout"] == 0


def test_iresnet50_has_the_published_number_of_parameters_but_for_the_norm_that_knows_each_element():
    with torch.device("meta"):
        model = occmask.build("iresnet50")
    published = 43_590_848  # counted on the network that test_foreign.py writes out
    assert sum(p.numel() for p in model.parameters()) == published + 2 * 512 * 48


def test_the_trunk_goes_into_from_by_its_short_name():
    with torch.device("meta"):
        model = occmask.build("from_r50", backbone="iresnet100", image_size=(112, 112))
    assert model.config.backbone == Spec("iresnet100")
    assert len(model.backbone.layer3) == 30


def test_a_depth_that_does_not_exist_is_refused():
    with pytest.raises(occmask.OptionError, match="18, 34, 50, 100, 200, not 101"):
        occmask.build("iresnet50", depth=101)
