"""Calibrating models: the temperature lands where it belongs, stays in files, and mends what it should."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import occmask
from occmask.data.faces import FaceSet
from occmask.evaluation.calibration import COLDEST, HOTTEST
from occmask.measure.calibration import temperature_path
from occmask.occluders.occlude import Occlusions
from occmask.shapes import REGIONS


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    rng = np.random.default_rng(0)
    base = rng.integers(60, 200, (4, 14, 12, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    return FaceSet.from_arrays(base.repeat(2, axis=0), np.arange(4).repeat(2))


def model_with(head: object, **changes: object) -> occmask.FaceModel:
    torch.manual_seed(0)
    return occmask.build("from_tiny", head=head, **changes).eval()


HEADS = {
    "occupancy": occmask.Spec("occupancy", width=4, context=4),
    "occupancy over FROM": occmask.Spec("occupancy", width=4, context=4, gate="from"),
    "classification": occmask.Spec("from", width=8),
    "regression": occmask.Spec("from", width=8, pattern_predictor="regression"),
    "mask": occmask.Spec("from", width=8, pattern_predictor="mask"),
    "mask on places": occmask.Spec("from", width=8, mask_decoder="spatial", pattern_predictor="mask"),
}


@pytest.mark.parametrize("name", HEADS)
def test_every_way_of_answering_is_calibrated_and_files_keep_it(name, faces, tmp_path):
    model = model_with(HEADS[name])
    path = temperature_path(model)
    assert path == (["head"] if name.startswith("occupancy") else ["head", "pattern_predictor"])
    before = copy.deepcopy(model.state_dict())
    images = torch.rand(3, 3, 112, 96) * 2 - 1
    with torch.inference_mode():
        box, embedding = model.occlusion(images).box, model(images).embedding
    report = occmask.calibrate(model, faces, samples=24, batch_size=7)
    assert COLDEST <= report.temperature <= HOTTEST
    assert report.temperature != 1
    assert model.get_submodule(".".join(path)).temperature == report.temperature
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key])
    occmask.save_weights(model, tmp_path / "a.safetensors")
    again = occmask.load_model(tmp_path / "a.safetensors")
    assert again.config == model.config
    with torch.inference_mode():
        ours, theirs = model.occlusion(images), again.occlusion(images)
        assert torch.equal(model(images).embedding, embedding)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
    if name != "classification":  # whose box maximises an expectation over all patterns
        assert torch.equal(ours.box, box)


def test_the_report_judges_cells_the_whole_and_every_region_in_both_kinds_of_bins(faces):
    report = occmask.calibrate(model_with(HEADS["occupancy"]), faces, samples=20)
    plain = report.to_dict()
    assert set(plain["before"]) == {"cells", "anything", *REGIONS} == set(plain["after"])
    assert plain["faces"] == 20
    assert report.after.by_width["cells"].number.sum() == 20 * 28 * 24 == report.after.by_mass["cells"].number.sum()
    assert report.after.by_width["mouth"].number.sum() == 20
    assert plain["after"]["cells"]["ece"] == report.after.ece("cells")


def test_what_was_made_too_sure_is_made_less_sure_again(faces):
    model = model_with(HEADS["occupancy"])
    optimiser = torch.optim.Adam(model.head.parameters(), 1e-2)
    occlusions = Occlusions(("rectangle",), share=0.5)
    rng = np.random.default_rng(0)
    for _ in range(15):
        covered = [occlusions(faces.image(i % 8), rng) for i in range(16)]
        images = occmask.to_tensor(np.stack([one.image for one in covered]))
        truth = occmask.OcclusionTruth(
            torch.tensor(np.stack([one.box for one in covered])), torch.tensor(np.stack([o.covered for o in covered]))
        )
        model.train()
        optimiser.zero_grad()
        model.occlusion_loss(model(images), truth).backward()
        optimiser.step()
    model.eval()
    honest = occmask.calibrate(model, faces, occlusions=occlusions, samples=64)
    with torch.no_grad():  # the same answers, six times as sure
        model.head.decide[-1].weight *= 6
        model.head.decide[-1].bias *= 6
        model.head.place *= 6
    model.head.temperature = 1.0
    sure = occmask.calibrate(model, faces, occlusions=occlusions, samples=64)
    assert sure.temperature == pytest.approx(6 * honest.temperature, rel=1e-3)
    assert sure.after.ece("cells") < sure.before.ece("cells")
    assert sure.after.ece("cells") == pytest.approx(honest.after.ece("cells"), abs=1e-3)


def test_the_same_seed_covers_the_same_faces_and_batches_do_not_matter(faces):
    reports = [
        occmask.calibrate(model_with(HEADS["occupancy"]), faces, samples=20, seed=seed, batch_size=size)
        for seed, size in ((3, 20), (3, 6), (4, 20))
    ]
    assert reports[0].temperature == pytest.approx(reports[1].temperature, rel=1e-2)
    assert reports[0].before.ece("cells") == pytest.approx(reports[1].before.ece("cells"), abs=1e-5)
    assert reports[0].before.ece("cells") != reports[2].before.ece("cells")


def test_an_own_head_with_a_temperature_is_calibrated_too(faces):
    @occmask.HEADS.register("dull")
    class Dull(torch.nn.Module):
        gates = False

        def __init__(self, shapes: occmask.FaceShapes, *, temperature: float = 1.0):
            super().__init__()
            self.temperature = temperature
            self.say = torch.nn.Conv2d(shapes.maps[-1].channels, 1, 1)

        def forward(self, maps):
            return occmask.Occlusion(None, self.say(maps[-1]))

        def loss(self, occlusion, truth):
            return occmask.coverage_loss(occlusion.pattern, truth)

        def answer(self, pattern):
            return occmask.answer_from_coverage(pattern / self.temperature)

    model = model_with("dull")
    report = occmask.calibrate(model, faces, samples=16)
    assert model.head.temperature == report.temperature == model.config.head.options["temperature"]


def test_what_cannot_be_calibrated_is_refused(faces):
    with pytest.raises(occmask.OptionError, match="attach"):
        occmask.calibrate(model_with(None), faces)

    @occmask.HEADS.register("stubborn")
    class Stubborn(torch.nn.Module):
        gates = False

        def __init__(self, shapes: occmask.FaceShapes):
            super().__init__()

    with pytest.raises(occmask.OptionError, match="have no temperature"):
        occmask.calibrate(model_with("stubborn"), faces)
    model = model_with(HEADS["occupancy"])
    with pytest.raises(occmask.ProtocolError, match="training mode"):
        occmask.calibrate(model.train(), faces)
    with pytest.raises(occmask.OptionError, match="samples"):
        occmask.calibrate(model.eval(), faces, samples=0)
    with pytest.raises(occmask.OptionError, match="optimized"):
        occmask.calibrate(occmask.optimize(model), faces)
    with pytest.raises(occmask.DataError, match="aligned"):
        occmask.calibrate(model, FaceSet.from_arrays(faces.images(), faces.labels, template="orl"))
