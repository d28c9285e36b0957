"""Objective, recipes and methods: terms, short runs, resuming, files, export."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from occmask_lpd import NOSE_LINE
from occmask_lpd.recipes import TEST_STYLES, TRAIN_STYLES

import occmask
from occmask import Spec

QUICK = {"batch_size": 4, "epochs": 2, "checkpoint_every": 2, "log_every": 1, "learning_rate": 1e-3}


def some_faces() -> occmask.FaceSet:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (3, 1, 32, 32, 3))
    pictures = np.clip(base + rng.integers(-30, 30, (3, 4, 32, 32, 3)), 0, 255).astype(np.uint8)
    return occmask.FaceSet.from_arrays(pictures.reshape(-1, 32, 32, 3), np.repeat(np.arange(3), 4))


def fresh(**changes) -> tuple[occmask.FaceModel, occmask.MarginLoss]:
    torch.manual_seed(0)
    model = occmask.build("lpd_tiny", image_size=(32, 32), **changes)
    return model, occmask.build_loss("cosface", embedding_dim=model.width, num_classes=3, scale=16.0)


def a_batch() -> occmask.FaceBatch:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(6, 3, 32, 32, generator=generator) * 2 - 1
    return occmask.FaceBatch(image, torch.tensor([0, 1, 2] * 2), occmask.OcclusionTruth(torch.zeros(6, 4)))


def losses_of(model, loss, recipe, **options) -> occmask.Losses:
    objective = occmask.OBJECTIVES.build(Spec("lpd", **options), model, loss, recipe)
    return objective(model, loss, a_batch())


def test_each_half_has_its_own_loss_with_its_own_class_weights():
    model, loss = fresh(embedding__dropout=0.0)
    found = losses_of(model, loss, occmask.RECIPES["lpd"]())
    output = model(a_batch().image)
    for name, columns in (("whole", slice(None, 128)), ("part", slice(128, None))):
        half = occmask.build_loss("cosface", embedding_dim=128, num_classes=3, scale=16.0)
        with torch.no_grad():
            half.weight.copy_(loss.weight[:, columns])
        wanted = half(output.embedding[:, columns], a_batch().label)
        assert found.terms[name].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_the_total_is_the_weighted_sum_of_the_terms():
    model, loss = fresh(embedding__dropout=0.0)
    found = losses_of(model, loss, occmask.RECIPES["lpd"](occlusion_weight=0.5), joined=0.25)
    terms = {name: term.item() for name, term in found.terms.items()}
    assert set(terms) == {"whole", "part", "joined", "occlusion"}
    wanted = terms["whole"] + terms["part"] + 0.25 * terms["joined"] + 0.5 * terms["occlusion"]
    assert found.total.item() == pytest.approx(wanted, rel=1e-5)


def test_at_weight_zero_nothing_of_a_term_is_computed():
    model, loss = fresh()
    assert set(losses_of(model, loss, occmask.RECIPES["lpd"](occlusion_weight=0.0), joined=0.0).terms) == {
        "whole",
        "part",
    }


def test_the_loss_of_one_half_moves_only_its_half_of_the_class_weights():
    model, loss = fresh()
    found = losses_of(model, loss, occmask.RECIPES["lpd"](), joined=0.0)
    found.terms["part"].backward()
    assert loss.weight.grad is not None
    assert loss.weight.grad[:, :128].abs().max() == 0
    assert loss.weight.grad[:, 128:].abs().max() > 0


def test_the_objective_keeps_no_class_weights_of_its_own():
    model, loss = fresh()
    objective = occmask.OBJECTIVES.build(Spec("lpd"), model, loss, occmask.RECIPES["lpd"]())
    assert sum(value.numel() for value in objective.state_dict().values()) == 0


def test_the_locator_learns_from_its_own_loss_and_from_the_identity_of_the_part():
    model, loss = fresh()
    assert model.part_locator is not None
    for term in ("part", "occlusion"):
        found = losses_of(model, loss, occmask.RECIPES["lpd"]())
        gradient = torch.autograd.grad(found.terms[term], model.part_locator.bn2.bias)[0]
        assert gradient.abs().max() > 0


def test_a_part_that_learns_nothing_can_be_trained_with():
    model, loss = fresh(part_locator="fixed")
    assert set(losses_of(model, loss, occmask.RECIPES["lpd"]()).terms) == {"whole", "part", "joined"}


def test_a_model_without_a_part_is_refused():
    model, loss = fresh()
    plain = occmask.build("from_tiny", head=None)
    with pytest.raises(occmask.OptionError, match="part_locator='lpd'"):
        occmask.OBJECTIVES.build("lpd", plain, loss, occmask.RECIPES["lpd"]())
    with pytest.raises(occmask.OptionError, match="joined"):
        losses_of(model, loss, occmask.RECIPES["lpd"](), joined=-1.0)


@pytest.mark.parametrize("margin", ["cosface", "adaface"])
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(margin, tmp_path):
    recipe = occmask.RECIPES["lpd_masks"](**QUICK)

    class PowerCut(Exception):
        pass

    def run(folder, *, cut=False, resume=False):
        torch.manual_seed(0)
        model = occmask.build("lpd_tiny", image_size=(32, 32))
        loss = occmask.build_loss(margin, embedding_dim=model.width, num_classes=3)
        if cut:
            batches = []

            def count(*_):
                batches.append(1)
                if len(batches) > 3:
                    raise PowerCut

            model.register_forward_pre_hook(count)
        occmask.train(model, loss, some_faces(), recipe, out=tmp_path / folder, resume=resume, progress=False)
        return model, loss

    whole, whole_loss = run("whole")
    with pytest.raises(PowerCut):
        run("cut", cut=True)
    resumed, resumed_loss = run("cut", resume=True)
    for a, b in ((whole, resumed), (whole_loss, resumed_loss)):
        for (name, one), other in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
            assert torch.equal(one, other), name
    logged = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in logged] == [1, 2, 3, 4, 5, 6]
    assert {"whole_loss", "part_loss", "joined_loss", "occlusion_loss", "accuracy"} <= set(logged[-1])


def test_a_checkpoint_is_the_model(tmp_path):
    model, loss = fresh()
    summary = occmask.train(model, loss, some_faces(), occmask.RECIPES["lpd"](**QUICK), out=tmp_path, progress=False)
    assert summary.checkpoint is not None
    again = occmask.load_model(summary.checkpoint)
    with torch.inference_mode():
        one, other = model(a_batch().image), again(a_batch().image)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert torch.allclose(one.embedding, other.embedding, atol=1e-4)  # trained in channels_last, which rounds otherwise
    assert one.part is not None
    assert torch.allclose(one.part, other.part, atol=1e-6)
    occmask.save_weights(model, tmp_path / "weights.safetensors")
    assert occmask.load_model(tmp_path / "weights.safetensors").config.part_locator == Spec("lpd")


@pytest.mark.slow
def test_the_exported_program_embeds_as_the_model_does(tmp_path):
    model, _ = fresh()
    model.eval()
    program = torch.export.export(model, (a_batch().image,)).module()
    with torch.inference_mode():
        assert torch.allclose(program(a_batch().image).embedding, model(a_batch().image).embedding, atol=1e-5)


def test_masks_for_training_and_for_tests_have_no_style_in_common():
    assert not set(TRAIN_STYLES) & set(TEST_STYLES)
    for name in ("lpd_masks", "augmented_masks"):
        assert [occluder.options["styles"] for occluder in occmask.RECIPES[name]().occluders] == [TRAIN_STYLES]
    occmask.OCCLUDERS.build(Spec("face_mask", styles=TEST_STYLES))  # which refuses a style that is not there


@pytest.mark.parametrize("pair", [("lpd", "augmented"), ("lpd_masks", "augmented_masks")])
def test_a_recipe_and_its_control_differ_in_the_part_alone(pair):
    one, other = (occmask.RECIPES[name]().to_dict() for name in pair)
    differ = {key for key in one if one[key] != other[key]}
    assert differ == {"name", "parts", "objective"}


def test_methods_take_away_what_they_do_not_train():
    base = occmask.MODELS["from_tiny"]()
    for name, part in (
        ("lpd", Spec("lpd")),
        ("lpd_masks", Spec("lpd")),
        ("fixed_part", Spec("fixed", box=(0.0, 0.0, 1.0, NOSE_LINE))),
        ("fixed_part_masks", Spec("fixed", box=(0.0, 0.0, 1.0, NOSE_LINE))),
        ("augmented_masks", None),
    ):
        method = occmask.METHODS[name]()
        config = method.model(base)
        assert (config.head, config.part_locator) == (None, part)
        for stage in method.stages:
            assert occmask.RECIPES[stage.recipe]().parts == config.occlusion_parts
        assert method.control in occmask.METHODS


def test_the_published_trunk_has_a_preset():
    config = occmask.MODELS["lpd_r50"]()
    assert config.backbone == Spec("lresnet", depth=50)
    assert config.occlusion_parts == ("part_locator",)
