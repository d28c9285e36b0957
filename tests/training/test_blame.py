"""A training step that goes wrong says who began it, and leaves the model as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import occmask
from occmask import FaceBatch, Losses, OcclusionTruth, Spec
from occmask.training.identity import IdentityObjective
from occmask.training.optimisation import build_optimiser
from occmask.training.recipe import recipe_named
from occmask.training.step import training_mode, training_step


def step(model: Any, *, factory: Any = IdentityObjective, margin: str = "cosface", **changes: Any) -> None:
    torch.manual_seed(0)
    recipe = recipe_named("from", parts=model.config.occlusion_parts, **changes)
    loss = occmask.build_loss(margin, embedding_dim=model.width, num_classes=3, scale=16.0)
    built = factory(model, loss, recipe)
    optimiser = build_optimiser(
        Spec("adamw", learning_rate=1e-3), model, loss, built, parts_learning_rate=None, weight_decay=0.0
    )
    truth = OcclusionTruth(torch.tensor([[0.2, 0.2, 0.6, 0.6]] * 4), torch.zeros(4, 112, 96, dtype=torch.bool))
    batch = FaceBatch(torch.rand(4, 3, 112, 96), torch.tensor([0, 1, 2, 0]), truth)
    with training_mode(model, loss, recipe):
        training_step(model, loss, built, optimiser, batch, recipe, index=0)


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return occmask.build("from_tiny", embedding__dim=16)


class Poison(torch.autograd.Function):
    """Passes on what it gets, and NaN for a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradient: Any) -> Any:
        return gradient[0] * float("nan")


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("backbone", r"began in map \d of backbone 'tiny'\."),
        ("head.mask_decoder", r"began in a mask of head 'from'\."),
        ("head.pattern_predictor", r"began in a pattern of head 'from'\."),
        ("embedding", r"began in an embedding of embedding 'flat'\."),
    ],
)
def test_the_part_that_made_nan_is_named(part: str, words: str, model: Any) -> None:
    with torch.no_grad():
        for parameter in model.get_submodule(part).parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(occmask.TrainingError, match=rf"the loss is nan at step 1 of recipe 'from' .*{words}"):
        step(model)


def test_a_loss_that_makes_nan_of_good_answers_is_named(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.head, "loss", lambda occlusion, truth: occlusion.pattern.mean() * torch.nan)
    with pytest.raises(occmask.TrainingError, match=r"began in the loss of head 'from'\."):
        step(model)


def test_a_margin_that_makes_nan_is_named(model: Any) -> None:
    @occmask.MARGINS.register("nan_margin")
    class NanMargin:
        default_scale = 16.0

        def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
            return cosine * torch.nan

    try:
        with pytest.raises(occmask.TrainingError, match=r"began in the loss of margin 'nan_margin'\."):
            step(model, margin="nan_margin")
    finally:
        del occmask.MARGINS._loaded["nan_margin"]


class Wild(nn.Module):
    needs_clean = False

    def __init__(self, model: Any, loss: Any, recipe: Any):
        super().__init__()

    def forward(self, model: Any, loss: Any, batch: FaceBatch) -> Any:
        total = model(batch.image).embedding.mean() * torch.inf
        return Losses(total, {"wild": total})


def test_an_objective_that_makes_infinity_is_named(model: Any) -> None:
    with pytest.raises(occmask.TrainingError, match=r"began in the wild loss of objective 'wild_one'\."):
        step(model, factory=Wild, objective=Spec("wild_one"))


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda losses: losses.total, "returned a Tensor; promised is an occmask.Losses"),
        (lambda losses: losses._replace(total=losses.total.detach()), "a total that is no scalar with a gradient"),
        (lambda losses: losses._replace(total=losses.embedding), "a total that is no scalar with a gradient"),
        (lambda losses: losses._replace(terms={"identity": 0.5}), "terms that are no scalars by name"),
    ],
)
def test_an_objective_that_returns_something_else_is_named(returned: Any, words: str, model: Any) -> None:
    class Lying(IdentityObjective):
        def forward(self, model: Any, loss: Any, batch: FaceBatch) -> Any:
            return returned(super().forward(model, loss, batch))

    with pytest.raises(occmask.TrainingError, match=rf"objective 'identity' returned .*{words.split('returned ')[-1]}"):
        step(model, factory=Lying)


def test_the_part_whose_gradient_is_nan_is_named_and_nothing_is_updated(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backward pass goes from the loss to the pictures: what it meets first is what began it."""
    real = model.head.mask_decoder.forward
    monkeypatch.setattr(model.head.mask_decoder, "forward", lambda x: Poison.apply(real(x)))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with pytest.raises(occmask.TrainingError, match=r"gradient is nan .* began in the gradient of head 'from'\."):
        step(model, clip_gradient=1.0)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
