"""Objectives: what one training step minimises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..spec import Spec
from . import OBJECTIVES

if TYPE_CHECKING:
    from torch import Tensor

    from ..margins.loss import MarginLoss
    from ..models.face import FaceModel
    from ..shapes import FaceBatch


class Losses(NamedTuple):
    """What one batch costs."""

    total: Tensor  # scalar: what is minimised
    terms: Mapping[str, Tensor]  # scalars by name, for the log; before they are weighted
    embedding: Tensor | None = None  # (B, D) whose accuracy the log tells; None: this objective names nobody


class Objective(Protocol):
    """A module built as `factory(model: FaceModel, loss: MarginLoss, recipe: Recipe, **options)`.

    It is called with the model and the margin loss that it trains, and keeps neither; parameters of its own (another
    classifier, a discriminator) are trained along, saved in checkpoints and gone afterwards.  `needs_clean` asks for
    `FaceBatch.clean`, the same faces without what covers them.
    Two things are optional.  `names_people: bool` is read from the factory before building; False lets it train
    without a margin loss, on faces without identities.  `finish(model, batches)` is called once after the last step,
    with the model in evaluation mode and `finishing_batches` more batches of the same stream: for what is counted
    rather than learnt.
    """

    needs_clean: bool

    def __call__(self, model: FaceModel, loss: MarginLoss, batch: FaceBatch) -> Losses: ...


def names_people(objective: Spec) -> bool:
    """Whether training towards it takes a margin loss and faces of people who are told apart."""
    return bool(getattr(OBJECTIVES[objective.name], "names_people", True))
