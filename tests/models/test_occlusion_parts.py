"""The parts of a model besides trunk, head and embedding: restorer, part locator, refiner."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import occmask
from occmask import Spec
from occmask.parts.crop import crop_part

SIZE = (32, 24)


class Brighten(nn.Module):
    """A restorer whose work is easy to see, and that says where it worked."""

    finds_cover = True

    def __init__(self, image, *, by: float = 0.25):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, images):
        return occmask.Restoration(images + self.by, images.mean(1, keepdim=True) * 8 + self.by)

    def loss(self, coverage, truth):
        return occmask.coverage_loss(coverage, truth)


class Dim(nn.Module):
    """A refiner that takes a share of every map."""

    def __init__(self, image, maps, *, share: float = 0.5):
        super().__init__()
        self.share, self.maps, self.seen = nn.Parameter(torch.tensor(share)), maps, []

    def forward(self, images):
        return occmask.Sight(images.mean(1, keepdim=True) + self.share, (images,))

    def refine(self, level, features, sight):
        assert features.shape[1:] == tuple(self.maps[level])
        assert sight.features[0].shape[0] == features.shape[0]
        return features * self.share

    def loss(self, coverage, truth):
        return occmask.coverage_loss(coverage, truth)


def build(**parts):
    torch.manual_seed(0)
    return occmask.build("from_tiny", image_size=SIZE, **{"head": None, **parts})


def faces(count=3, seed=0):
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(occmask.RESTORERS._loaded, "brighten", Brighten)
    monkeypatch.setitem(occmask.REFINERS._loaded, "dim", Dim)


def test_the_trunk_sees_what_the_restorer_makes():
    plain, restoring = build().eval(), build(restorer=Spec("brighten", by=0.25)).eval()
    restoring.load_state_dict(plain.state_dict(), strict=False)
    output = restoring(faces())
    assert torch.allclose(output.embedding, plain(faces() + 0.25).embedding)
    assert torch.equal(output.restoration.image, faces() + 0.25)


def test_a_refiner_changes_every_map_before_the_next_stage_reads_it():
    plain, dimmed = build().eval(), build(refiner=Spec("dim", share=1.0)).eval()
    dimmed.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(dimmed(faces()).embedding, plain(faces()).embedding)
    with torch.no_grad():
        dimmed.refiner.share.fill_(0.0)
    expected = plain.embedding(torch.zeros(3, *plain.backbone.shapes[-1]))
    assert torch.allclose(dimmed(faces()).embedding, expected)


def test_a_trunk_that_lets_nobody_between_its_stages_is_refused_by_name():
    class Closed(nn.Module):
        def __init__(self, image_size):
            super().__init__()
            self.shapes = (occmask.FeatureShape(4, 8, 6),)

    occmask.BACKBONES._loaded["closed"] = Closed
    try:
        with pytest.raises(occmask.OptionError, match=r"refiner 'dim'.*backbone 'closed'.*'lresnet'"):
            build(refiner="dim", backbone="closed")
    finally:
        del occmask.BACKBONES._loaded["closed"]


def test_with_a_part_the_embedding_is_that_of_the_face_and_then_that_of_the_part():
    plain = build().eval()
    model = build(part_locator=Spec("fixed", box=(0.0, 0.0, 1.0, 0.5))).eval()
    model.load_state_dict(plain.state_dict())
    output = model(faces(), clean=True)
    assert output.embedding.shape == (3, 256)
    assert model.width == 256
    whole, part = output.embedding.chunk(2, dim=1)
    assert torch.allclose(whole, plain(faces()).embedding, atol=1e-5)
    cut = crop_part(faces(), output.part)
    assert torch.allclose(part, plain(cut).embedding, atol=1e-5)
    assert torch.equal(output.clean, output.embedding)


def test_the_whole_face_cut_out_is_the_face_and_a_box_has_a_gradient():
    images = faces().double()
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 3, dtype=torch.double)
    assert torch.allclose(crop_part(images, whole), images)
    box = torch.tensor([[0.2137, 0.3171, 0.7053, 0.9239]], dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: crop_part(images[:1, :1, ::4, ::4], b), (box,))


def test_the_upper_half_cut_out_shows_rows_of_the_upper_half_only():
    image = torch.arange(32.0)[:, None].expand(1, 1, 32, 24) / 32
    cut = crop_part(image, torch.tensor([[0.0, 0.0, 1.0, 0.5]]))
    assert cut.amax() <= 16 / 32
    assert torch.all(cut.diff(dim=2) >= 0)


@pytest.mark.parametrize("box", [(0.0, 0.0, 1.0), (0.5, 0.0, 0.5, 1.0), (0.0, 0.9, 1.0, 0.1)])
def test_a_fixed_part_that_is_no_box_is_refused(box):
    with pytest.raises(occmask.OptionError, match="x0 y0 x1 y1"):
        build(part_locator=Spec("fixed", box=box))


@pytest.mark.parametrize("parts", [{"restorer": "brighten"}, {"refiner": "dim"}], ids=str)
def test_what_sees_the_cover_answers_learns_saves_and_exports(parts, tmp_path):
    model = build(**parts)
    truth = occmask.OcclusionTruth(torch.tensor([[0.0, 0.0, 1.0, 0.5]] * 4), torch.zeros(4, *SIZE, dtype=torch.bool))
    output = model(faces(4))
    assert model.sees_occlusion
    model.occlusion_loss(output, truth).backward()
    model.eval()
    answer = model.occlusion_answer(model(faces(4)))
    assert answer.cells.shape == (4, 5, 5)
    occmask.save_weights(model, tmp_path / "m.safetensors")
    again = occmask.load_model(tmp_path / "m.safetensors")
    assert torch.equal(again(faces()).embedding, model(faces()).embedding)
    assert "cells" in occmask.export(model, tmp_path / "m.pt2").difference
    optimized = occmask.optimize(model)
    assert torch.allclose(optimized(faces()).embedding, model(faces()).embedding, rtol=1e-4, atol=1e-4)


def test_losses_of_all_parts_are_summed():
    torch.manual_seed(0)
    model = occmask.build("from_tiny", image_size=SIZE, restorer="brighten", refiner="dim")
    truth = occmask.OcclusionTruth(torch.zeros(4, 4), torch.zeros(4, *SIZE, dtype=torch.bool))
    output = model(faces(4))
    alone = [
        model.head.loss(occmask.Occlusion(output.mask, output.pattern), truth),
        occmask.coverage_loss(output.coverage, truth),
        occmask.coverage_loss(output.restoration.coverage, truth),
    ]
    assert torch.allclose(model.occlusion_loss(output, truth), torch.stack(alone).sum())


def test_a_config_with_parts_survives_json_and_old_files_have_none():
    config = occmask.MODELS["from_tiny"]().override(restorer=Spec("brighten", by=0.5), part_locator="fixed")
    assert occmask.ModelConfig.from_dict(config.to_dict()) == config
    assert config.occlusion_parts == ("restorer", "part_locator", "head")
    old = {
        k: v
        for k, v in occmask.MODELS["from_tiny"]().to_dict().items()
        if k not in ("restorer", "part_locator", "refiner")
    }
    assert occmask.ModelConfig.from_dict(old) == occmask.MODELS["from_tiny"]()
