"""`check_objective`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from itertools import chain, cycle, islice
from typing import Any

import torch
from torch import Tensor, nn

from ..margins import build_loss
from ..margins.loss import MarginLoss
from ..models.builder import build
from ..models.config import ModelConfig
from ..models.face import FaceModel
from ..shapes import FaceBatch, FeatureShape, OcclusionTruth
from ..spec import Spec
from ..training import OBJECTIVES
from ..training.objectives import Losses, Objective
from ..training.optimisation import build_optimiser
from ..training.recipe import Recipe, recipe_named
from ..training.step import training_mode, training_step
from .describing import check_description
from .examination import BATCH, Component, Examination, seeded
from .faces import images, truths, with_map

_PEOPLE = 3


def check_objective(
    objective: Component[Objective], *, model: str | ModelConfig = "from_tiny", recipe: Recipe | None = None
) -> None:
    """Raise `AssertionError` unless an objective keeps its protocol (`occmask.training.objectives.Objective`).

    `model`: what it is made for; `recipe`: None stands for "from" with the parts that the model has.
    Checked: it says by `needs_clean` what it needs; it returns `occmask.Losses` of finite scalars, an embedding of
    every face or none; somebody learns, its own parameters among them; it keeps neither model nor loss; the same batch,
    state and random numbers cost the same; its state survives a state_dict; a whole training step works and moves
    nothing that the recipe freezes; `finish`, if there is one, takes as many batches as it says at most.
    """
    exam = Examination(OBJECTIVES, objective)
    with seeded():
        built = build(model)
        if recipe is None:
            recipe = recipe_named("from", parts=built.config.occlusion_parts)
        margin = build_loss("cosface", embedding_dim=built.width, num_classes=_PEOPLE, scale=16.0)
        _check(exam, built, margin, recipe.override(optimiser=Spec("adamw", learning_rate=1e-3), batch_size=BATCH))


def _check(exam: Examination, model: FaceModel, loss: MarginLoss, recipe: Recipe) -> None:
    module = exam.build(model, loss, recipe)
    exam.require(isinstance(module, nn.Module), f"is a torch.nn.Module, not a {type(module).__name__}")
    needs = getattr(module, "needs_clean", None)
    exam.require(isinstance(needs, bool), f"says by `needs_clean`, True or False, whether it does, not {needs!r}")
    others = {id(p) for owner in (model, loss) for p in owner.parameters()}
    kept = [name for name, p in module.named_parameters() if id(p) in others]
    exam.require(not kept, f"keeps neither model nor loss, but holds {', '.join(kept[:3])}")
    usual = truths(FeatureShape(3, *model.config.image_size))["some faces covered"]
    batch = _batch(model, usual, clean=needs is True)
    cells = [_batch(model, truth, clean=needs is True) for truth in _cell_by_cell(model, recipe)]
    before = copy.deepcopy(batch)
    with training_mode(model, loss, recipe):
        with exam.clause("is called with model, loss and batch"):
            losses = module.train()(model, loss, batch)
        _check_losses(exam, losses, model)
        exam.require_same(batch, before, "leaves its batch as it was, but changed it in place")
        with exam.clause("can be differentiated"):
            losses.total.backward()
        if _silent(module):  # what belongs to one cell learns only where that is covered
            for other in cells:
                with exam.clause("is called with faces of which one cell is covered"):
                    module(model, loss, other).total.backward()
        silent = _silent(module)
        exam.require(not silent, f"trains its own parameters, but no gradient reaches {', '.join(silent[:3])}")
        reached = [p.grad for owner in (model, loss) for p in owner.parameters() if p.grad is not None]
        exam.require(bool(reached) or bool([*module.parameters()]), "trains somebody, but no gradient reaches anybody")
        exam.require_finite(reached, "in the gradients")
    _check_repeats(exam, model, loss, recipe, batch)
    _check_step(exam, model, loss, recipe, batch)
    _check_finish(exam, module, model, [batch, *cells])
    fresh = exam.build(model, loss, recipe)
    with exam.clause("takes back its own state_dict"):
        fresh.load_state_dict(module.state_dict())
    check_description(exam, model, loss, recipe)


def _check_losses(exam: Examination, losses: Any, model: FaceModel) -> None:
    exam.require(isinstance(losses, Losses), f"returns an occmask.Losses, not a {type(losses).__name__}")
    exam.require_shape(losses.total, (), "the total")
    exam.require(losses.total.requires_grad, "returns a total that can be differentiated, but it is detached")
    exam.require(isinstance(losses.terms, Mapping), f"names its terms, not a {type(losses.terms).__name__}")
    for name, term in losses.terms.items():
        exam.require(isinstance(name, str), f"names its terms in words, not {name!r}")
        exam.require_shape(term, (), f"the term {name!r}")
    exam.require_finite((losses.total, *losses.terms.values()), "in the losses")
    if losses.embedding is not None:
        exam.require_shape(losses.embedding, (BATCH, model.width), "the embedding whose accuracy is logged")


def _check_repeats(exam: Examination, model: FaceModel, loss: MarginLoss, recipe: Recipe, batch: FaceBatch) -> None:
    """What a run that was resumed relies on."""
    totals = []
    for _ in range(2):
        twin, margin = copy.deepcopy((model, loss))
        with seeded():
            module = exam.build(twin, margin, recipe).train()
            with training_mode(twin, margin, recipe):
                totals.append(module(twin, margin, batch).total.detach())
    exam.require_same(totals[0], totals[1], "costs the same for the same batch, weights and random numbers")


def _check_step(exam: Examination, model: FaceModel, loss: MarginLoss, recipe: Recipe, batch: FaceBatch) -> None:
    twin, margin = copy.deepcopy((model, loss))
    module = exam.build(twin, margin, recipe)
    frozen = [
        p for name in recipe.freezes if isinstance(m := getattr(twin, name, margin), nn.Module) for p in m.parameters()
    ]
    before = [p.detach().clone() for p in frozen]
    with exam.clause("is what a whole training step minimises"), training_mode(twin, margin, recipe):
        optimiser = build_optimiser(
            recipe.optimiser, twin, margin, module, parts_learning_rate=None, weight_decay=recipe.weight_decay
        )
        training_step(twin, margin, module, optimiser, batch, recipe, index=0)
    exam.require_same(before, [p.detach() for p in frozen], "leaves alone what the recipe freezes")
    exam.require(not twin.training and not margin.training, "leaves model and loss in the mode they were in")


def _check_finish(exam: Examination, module: Any, model: FaceModel, batches: list[FaceBatch]) -> None:
    finish = getattr(module, "finish", None)
    if finish is None:
        return
    most = getattr(module, "finishing_batches", None)
    exam.require(isinstance(most, int) and most >= 0, f"says by `finishing_batches` how many it takes, not {most!r}")
    assert most is not None
    with exam.clause("finishes after the last step"), torch.no_grad():
        finish(copy.deepcopy(model).eval(), islice(cycle(batches), most))  # ends by itself, as in training


def _silent(module: nn.Module) -> list[str]:
    return [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]


def _cell_by_cell(model: FaceModel, recipe: Recipe) -> Iterator[OcclusionTruth]:
    """Batches in which each face has one cell of the recipe's grid covered, until every cell had its turn."""
    k = int(recipe.placement.options.get("k", 5))
    boxes = [[x / k, y / k, (x + 1) / k, (y + 1) / k] for y in range(k) for x in range(k)]
    for first in range(0, len(boxes), BATCH):
        box = list(islice(chain(boxes[first:], cycle(boxes)), BATCH))
        yield with_map(torch.tensor(box), FeatureShape(3, *model.config.image_size))


def _batch(model: FaceModel, truth: OcclusionTruth, *, clean: bool) -> FaceBatch:
    face = images(*model.config.image_size)
    assert truth.covered is not None
    covered: Tensor = torch.where(truth.covered[:, None], torch.zeros(()), face)
    return FaceBatch(covered, torch.arange(BATCH) % _PEOPLE, truth, face if clean else None)
