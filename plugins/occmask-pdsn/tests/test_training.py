"""Both stages on small made-up faces: what learns, what stays, and resuming."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from occmask_pdsn import MaskGenerators, generators_of, measure_locality, rebuild_dictionary
from occmask_pdsn.building import DictionaryBuilder

import occmask
from occmask import RECIPES, Spec


def test_stage_1_builds_the_dictionary_and_changes_nothing_else(small, first_stage):
    model, loss, _ = first_stage
    before, loss_before = small.fresh()
    assert model.head.is_built
    assert 0 <= model.head.dictionary.min() < model.head.dictionary.max() <= 1
    old = before.state_dict()
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, old[name])]
    assert changed == ["head.dictionary"]
    assert torch.equal(loss.weight, loss_before.weight)


def test_the_generators_are_in_the_checkpoint_and_not_in_the_model(small, first_stage):
    model, _, folder = first_stage
    assert not [name for name in model.state_dict() if "generators" in name]
    generators = generators_of(folder / "last.safetensors", model)
    fresh_ones = MaskGenerators(small.k**2, model.backbone.shapes[-1])
    assert int(generators.norm.num_batches_tracked) == 6
    assert not torch.equal(generators.shifts[0], fresh_ones.shifts[0])


def test_the_masks_learn_to_cancel_what_differs(small):
    model, loss = small.fresh()
    terms = []

    class Watched(occmask.OBJECTIVES["pdsn_masks"]):
        def forward(self, *args):
            losses = super().forward(*args)
            terms.append(losses.terms["difference"].item())
            return losses

    occmask.OBJECTIVES.register("watched_masks", Watched)
    objective = Spec("watched_masks", consistency=100.0)
    recipe = RECIPES["pdsn_masks"](**{**small.masks, "objective": objective, "epochs": 30, "learning_rate": 0.5})
    small.trained(recipe, model, loss)
    assert np.mean(terms[-5:]) < 0.8 * np.mean(terms[:5])


def test_stage_2_keeps_the_dictionary_and_trains_recogniser_and_detector(small, first_stage):
    model, loss = (copy.deepcopy(part) for part in first_stage[:2])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    small.trained(RECIPES["pdsn"](**small.quick), model, loss)
    assert torch.equal(model.head.dictionary, before["head.dictionary"])
    learnt = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert learnt == dict(model.named_parameters()).keys()


def test_stage_2_takes_the_dictionary_of_a_checkpoint(small, first_stage):
    model, loss = small.fresh()
    path = str(first_stage[2] / "last.safetensors")
    small.trained(RECIPES["pdsn"](**small.quick, objective=Spec("pdsn_tuning", dictionary=path)), model, loss)
    assert torch.equal(model.head.dictionary, first_stage[0].head.dictionary)


def test_stage_2_without_a_dictionary_is_refused(small):
    with pytest.raises(occmask.OptionError, match="train 'pdsn_masks' first"):
        small.trained(RECIPES["pdsn"](**small.quick), *small.fresh())


class Interrupted(Exception):
    """Our stand-in for a power cut."""


@pytest.mark.parametrize("name", ["pdsn_masks", "pdsn"])
def test_an_interrupted_stage_ends_bit_for_bit_like_an_uninterrupted_one(small, name, first_stage, tmp_path):
    recipe = RECIPES[name](**(small.masks if name == "pdsn_masks" else small.quick))
    factory = occmask.OBJECTIVES[recipe.objective.name]
    start = small.fresh() if name == "pdsn_masks" else first_stage[:2]

    def run(objective, folder, *, resume=False):
        model, loss = copy.deepcopy(start[0]), copy.deepcopy(start[1])
        return small.trained(recipe.override(objective=objective), model, loss, out=folder, resume=resume)

    steps = []

    class Cut(factory):
        def forward(self, *args):
            steps.append(1)
            if len(steps) == 4:
                raise Interrupted
            return super().forward(*args)

    occmask.OBJECTIVES.register("cut_short", Cut)
    cut = Spec("cut_short", **recipe.objective.options)
    whole, _ = run(recipe.objective, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(cut, tmp_path / "cut")
    torch.manual_seed(123)  # another process has other random numbers
    resumed, _ = run(cut, tmp_path / "cut", resume=True)
    ends = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in ends)


def test_a_generator_whose_block_is_absent_gets_no_gradient():
    generators = MaskGenerators(4, occmask.FeatureShape(3, 5, 4))
    generators(torch.rand(4, 3, 5, 4), torch.tensor([0, 2, 2, 0])).sum().backward()
    with_gradient = {name.split(".")[1] for name, p in generators.named_parameters() if p.grad is not None}
    assert with_gradient == {"0", "2"}


def test_a_mixed_batch_is_masked_face_by_face_as_each_alone():
    generators = MaskGenerators(4, occmask.FeatureShape(3, 5, 4)).eval()
    for scale, shift in zip(generators.scales, generators.shifts, strict=True):
        torch.nn.init.normal_(scale)
        torch.nn.init.normal_(shift)
    difference, block = torch.rand(6, 3, 5, 4), torch.tensor([3, 0, 2, 0, 3, 1])
    together = generators(difference, block)
    alone = torch.cat([generators(difference[i : i + 1], block[i : i + 1]) for i in range(6)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_an_item_is_one_minus_the_mean_of_the_scaled_masks(small):
    model, _ = small.fresh()
    model.eval()
    clean, covered = torch.rand(2, 2, 3, 32, 32).unbind()
    generators = MaskGenerators(small.k**2, model.backbone.shapes[-1]).eval()
    builder = DictionaryBuilder(model, generators)
    builder.add(clean, covered, torch.tensor([1, 1]))
    with pytest.raises(occmask.TrainingError, match=r"blocks \[0, 2, 3\]"):
        builder.write()
    assert not model.head.is_built
    with torch.no_grad():
        difference = (model.backbone(clean)[-1] - model.backbone(covered)[-1]).abs()
        masks = generators(difference, torch.tensor([1, 1]))
    wanted = 1 - sum((m - m.min()) / (m.max() - m.min()) for m in masks) / 2
    assert torch.allclose(builder.sums[1] / 2, wanted, atol=1e-5)


def test_rebuilding_from_the_generators_gives_a_dictionary_close_to_the_first(small, first_stage):
    model, _, folder = first_stage
    again = copy.deepcopy(model)
    generators = generators_of(folder / "last.safetensors", model)
    rebuild_dictionary(again, generators, small.some_faces(), pairs=6, progress=False)
    first, second = model.head.dictionary.flatten(), again.head.dictionary.flatten()
    assert torch.corrcoef(torch.stack([first, second]))[0, 1] > 0.7


def test_locality_weighs_positions_by_how_much_of_them_the_block_covers(small):
    model, _ = small.fresh()
    model.head.dictionary[:, :, 0, 0] = 1.0  # every item discards the top left position, of 2x2
    found = measure_locality(model.head)
    assert found.shares[:, 0, 0].tolist() == [1.0] * 4
    inside, outside = found.by_block
    assert inside.tolist() == pytest.approx([1, 0, 0, 0])
    assert outside.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize(
    "model, recipe, words",
    [
        ({"k": 3}, {}, "cells of k=2 and the head has blocks of k=3"),
        ({}, {"clean_share": 1.0}, "leave some covered"),
        ({}, {"objective": Spec("pdsn_masks", pairs=0)}, "pairs at least 1"),
    ],
)
def test_a_first_stage_that_cannot_work_is_refused(small, model, recipe, words):
    with pytest.raises(occmask.OccmaskError, match=words):
        small.trained(RECIPES["pdsn_masks"](**{**small.masks, **recipe}), *small.fresh(**model))


def test_the_method_is_both_stages_and_shares_the_budget_between_them():
    method = occmask.METHODS["pdsn"]()
    assert [stage.recipe for stage in method.stages] == ["pdsn_masks", "pdsn"]
    assert sum(stage.share for stage in method.stages) == pytest.approx(1)
    config = method.model(occmask.MODELS["from_tiny"]())
    assert config.head.name == "pdsn"
    assert config.occlusion_parts == ("head",)
