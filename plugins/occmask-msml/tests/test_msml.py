"""MSML's refiner: what it promises between the stages of any trunk."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import occmask
import occmask.testing

SIZES = ((112, 96), (112, 112), (96, 80), (45, 37))
SMALL = {"widths": (8, 8, 8), "features": 4, "mask_width": 8}


def build(size=(48, 40), **options):
    torch.manual_seed(0)
    return occmask.build("msml_tiny", image_size=size, refiner=occmask.Spec("msml", **{**SMALL, **options}))


def faces(count, size, seed=0):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def half_covered(count, size):
    covered = torch.zeros(count, *size, dtype=torch.bool)
    covered[:, size[0] // 2 :] = True
    return occmask.OcclusionTruth(torch.tensor([[0.0, 0.5, 1.0, 1.0]]).expand(count, -1), covered)


def settled(model, images):
    """Evaluation mode with statistics that belong to these images, as training leaves them."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    return model.eval()


def test_conformance():
    if not hasattr(occmask.testing, "check_refiner"):
        pytest.skip("this occmask has no check_refiner")
    occmask.testing.check_refiner("msml")
    occmask.testing.check_refiner(occmask.Spec("msml", operator="add", levels=(1, 3), **SMALL))


@pytest.mark.parametrize("size", SIZES)
def test_coverage_has_half_the_pictures_size_and_every_map_keeps_its_shape(size):
    model = build(size)
    images = faces(2, size)
    sight = model.refiner(images)
    assert sight.coverage.shape == (2, 1, -(-size[0] // 2), -(-size[1] // 2))
    for level, shape in enumerate(model.backbone.shapes):
        assert model.refiner.refine(level, torch.randn(2, *shape), sight).shape == (2, *shape)


@pytest.mark.parametrize("operator", ["multiply", "add"])
@pytest.mark.parametrize("size", SIZES)
def test_untrained_masks_leave_every_map_almost_as_it_is(size, operator):
    model = build(size, operator=operator)
    sight = model.refiner(faces(4, size))
    for level, shape in enumerate(model.backbone.shapes):
        features = torch.randn(4, *shape)
        change = (model.refiner.refine(level, features, sight) - features).abs().mean() / features.abs().mean()
        assert 0 < change < 0.05


def test_an_untrained_refiner_hardly_turns_the_embeddings_of_its_trunk():
    images = faces(16, (48, 40))
    model = build()
    plain = occmask.build("from_tiny", image_size=(48, 40), head=None)
    for part in ("backbone", "embedding"):
        plain.get_submodule(part).load_state_dict(model.get_submodule(part).state_dict())
    with torch.no_grad():
        both = [settled(m, images)(images).embedding for m in (model, plain)]
    assert F.cosine_similarity(*both).min() > 0.98


@pytest.mark.parametrize("operator", ["multiply", "add"])
def test_every_levels_operator_learns_from_the_embedding_and_the_branch_from_the_truth(operator):
    model = build(operator=operator).train()
    output = model(faces(4, (48, 40)))
    (output.embedding * torch.randn_like(output.embedding)).sum().backward(retain_graph=True)
    assert len(model.refiner.operators) == 4
    for name, parameter in model.refiner.operators.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    model.zero_grad(set_to_none=True)
    model.occlusion_loss(output, half_covered(4, (48, 40))).backward()
    for name, parameter in model.refiner.segmentation.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_levels_choose_which_maps_are_masked():
    model = build(levels=(3, 1))
    assert len(model.refiner.operators) == 2
    sight = model.refiner(faces(2, (48, 40)))
    for level, shape in enumerate(model.backbone.shapes):
        features = torch.randn(2, *shape)
        assert torch.equal(model.refiner.refine(level, features, sight), features) == (level in (0, 2))


def test_a_wide_open_gate_can_be_closed_by_what_the_branch_sees():
    """The mask reads the segmentation features, not the map alone."""
    model = build().eval()
    nn.init.normal_(model.refiner.operators[0].mask.weight)
    features = torch.randn(1, *model.backbone.shapes[0])
    seen = [model.refiner(faces(1, (48, 40), seed)) for seed in (0, 1)]
    first, second = (model.refiner.refine(0, features, sight) for sight in seen)
    assert (first - second).abs().max() > 1e-3


def test_maps_of_other_sizes_than_the_branchs_scales_are_masked_too():
    maps = (occmask.FeatureShape(6, 12, 10), occmask.FeatureShape(6, 7, 5), occmask.FeatureShape(6, 60, 50))
    refiner = occmask.REFINERS.build(occmask.Spec("msml", **SMALL), occmask.FeatureShape(3, 48, 40), maps)
    sight = refiner(faces(2, (48, 40)))
    for level, shape in enumerate(maps):
        assert refiner.refine(level, torch.randn(2, *shape), sight).shape == (2, *shape)


def test_the_segmentation_loss_is_least_at_the_truth_and_needs_covered_maps():
    refiner = build().refiner
    truth = half_covered(3, (48, 40))
    right = (F.adaptive_avg_pool2d(truth.covered[:, None].float(), (24, 20)) - 0.5) * 40
    assert refiner.loss(right, truth) < 1e-4
    assert refiner.loss(-right, truth) > 5
    assert refiner.loss(torch.zeros_like(right), truth) > 0.5
    nothing = occmask.OcclusionTruth(torch.zeros(3, 4), torch.zeros(3, 48, 40, dtype=torch.bool))
    assert refiner.loss(torch.full_like(right, -30), nothing) < 1e-4
    with pytest.raises(occmask.DataError, match="covered"):
        refiner.loss(right, occmask.OcclusionTruth(truth.box))


def test_dice_counts_a_small_cover_as_much_as_a_large_one():
    with_dice, without = build(dice=1.0).refiner, build(dice=0.0).refiner

    def missed(rows):
        covered = torch.zeros(1, 48, 40, dtype=torch.bool)
        covered[:, :rows] = True
        truth = occmask.OcclusionTruth(torch.tensor([[0.0, 0.0, 1.0, rows / 48]]), covered)
        coverage = torch.full((1, 1, 24, 20), -12.0)
        return float(with_dice.loss(coverage, truth) - without.loss(coverage, truth))

    assert missed(8) == pytest.approx(missed(40), abs=0.02)
    assert missed(8) > 0.9


@pytest.mark.parametrize(
    "options, told",
    [
        ({"levels": (0, 4)}, "0..3"),
        ({"levels": ()}, "at least one"),
        ({"levels": (1, 1)}, "different"),
        ({"widths": ()}, "widths"),
        ({"depth": 0}, "depth"),
        ({"mask_width": 0}, "mask_width"),
        ({"dice": -1.0}, "dice"),
        ({"operator": occmask.Spec("multiply", start=1.0)}, "between 0 and 1"),
        ({"operator": occmask.Spec("add", start=0.5)}, "no option 'start'"),
    ],
)
def test_options_that_cannot_work_are_named(options, told):
    with pytest.raises(occmask.OptionError, match=told):
        build(**options)


def test_an_unknown_operator_is_told_which_ones_there_are():
    with pytest.raises(occmask.UnknownNameError, match="multiply"):
        build(operator="multiplied")


class _Closed(nn.Module):
    """A trunk that lets nobody between its stages."""

    def __init__(self, image_size):
        super().__init__()
        self.shapes = (occmask.FeatureShape(4, *image_size),)


def test_a_trunk_that_cannot_be_refined_is_refused_by_name():
    occmask.BACKBONES.register("closed", _Closed)
    with pytest.raises(occmask.OptionError, match=r"'msml'.*'closed'"):
        occmask.build("msml_tiny", backbone="closed")


@pytest.mark.parametrize("preset", ["msml_tiny", "msml_r18"])
def test_presets_build_and_say_what_is_covered(preset):
    model = occmask.build(preset).eval()
    assert model.head is None
    with torch.no_grad():
        answer = model.occlusion_answer(model(faces(1, (112, 96)), occlusion=True))
    assert answer.cells.shape == (1, 5, 5)


def test_the_large_preset_is_the_published_branch_on_r50():
    config = occmask.MODELS["msml_r50"]()
    assert config.backbone.options["depth"] == 50
    assert config.refiner.options["widths"] == (64, 64, 128, 256, 512)


def test_saved_and_loaded_it_answers_the_same(tmp_path):
    images = faces(3, (48, 40))
    model = settled(build(operator=occmask.Spec("multiply", start=0.9), levels=(0, 2)), images)
    occmask.save_weights(model, tmp_path / "msml.safetensors")
    loaded = occmask.load_model(tmp_path / "msml.safetensors").eval()
    assert loaded.config == model.config
    with torch.no_grad():
        ours, theirs = model(images), loaded(images)
    assert torch.equal(ours.embedding, theirs.embedding)
    assert torch.equal(ours.coverage, theirs.coverage)


@pytest.mark.slow
def test_exported_and_optimized_programs_give_the_same_embeddings(tmp_path):
    images = faces(3, (32, 32))
    model = settled(build((32, 32), widths=(8, 8), levels=(0, 3)), images)
    with torch.no_grad():
        wanted = model(images)
        program = torch.export.export(model, (images,), strict=False).module()
        assert torch.allclose(program(images).embedding, wanted.embedding, atol=1e-5)
        optimized = occmask.optimize(model)(images).embedding
    assert F.cosine_similarity(optimized, wanted.embedding).min() > 1 - 1e-5
    report = occmask.export(model, tmp_path / "msml.pt2")
    loaded = torch.export.load(report.path).module()
    assert torch.allclose(loaded(images)["embedding"], wanted.embedding, atol=1e-4)
    assert torch.allclose(loaded(images)["cells"], model.occlusion_answer(wanted).cells, atol=1e-4)


def test_a_copy_shares_nothing_and_float64_works():
    model = build()
    other = copy.deepcopy(model).double().eval()
    assert other(faces(2, (48, 40)).double()).coverage.dtype == torch.float64
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    assert next(model.parameters()).dtype == torch.float32


def synthetic_faces(people=4, each=6, size=(48, 40)):
    """Smooth blobs, one pattern a person: what covers them looks like nothing of theirs."""
    rng = np.random.default_rng(0)
    base = torch.from_numpy(rng.uniform(60, 190, (people, 3, 4, 4))).float()
    smooth = F.interpolate(base, size, mode="bicubic").permute(0, 2, 3, 1).numpy()[:, None]
    pictures = np.clip(smooth + rng.normal(0, 4, (people, each, *size, 3)), 0, 255).astype(np.uint8)
    return occmask.FaceSet.from_arrays(pictures.reshape(-1, *size, 3), np.repeat(np.arange(people), each))


@pytest.mark.slow
def test_training_segments_better_than_any_answer_that_never_looks():
    from occmask_msml.measure import measure_conditions, pixel_iou

    faces = synthetic_faces()
    model = build(widths=(8, 16, 16), levels=(3,))
    loss = occmask.build_loss("cosface", embedding_dim=model.width, num_classes=4)
    recipe = occmask.RECIPES["msml"](
        epochs=60,
        batch_size=16,
        optimiser=occmask.Spec("adamw", learning_rate=1e-3),
        parts_learning_rate=1e-2,
        schedule=occmask.Spec("cosine"),
        clip_gradient=5.0,
    )
    assert recipe.parts == ("refiner",)
    occmask.train(model, loss, faces, recipe, progress=False)
    ((_, found),) = measure_conditions(model, faces, conditions=["area_30"])
    probes = occmask.cover_probes(faces.images(), "area_30", seed=7, grey=False)
    everything = pixel_iou(np.ones_like(probes.covered), probes.covered).mean()
    often = probes.covered.mean(0)  # the best constant map, with hindsight
    best = max(
        pixel_iou(np.broadcast_to(often >= share, probes.covered.shape), probes.covered).mean()
        for share in np.unique(often)
    )
    assert best >= everything
    assert found.iou > best + 0.1


def test_the_method_starts_from_the_baseline_and_takes_the_head_away():
    method = occmask.METHODS["msml"]()
    config = method.model(occmask.MODELS["from_tiny"]())
    assert (method.starts_from, method.control) == ("baseline", "augmented")
    assert config.head is None
    assert config.refiner.name == "msml"
    assert [stage.recipe for stage in method.stages] == ["msml"]
