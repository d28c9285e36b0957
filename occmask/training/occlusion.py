"""What is covered, and nothing else: the objective of a head that is trained on faces of anybody."""

from __future__ import annotations

from torch import nn

from ..errors import DataError, OptionError
from ..models.face import FaceModel
from ..shapes import FaceBatch
from .objectives import Losses
from .recipe import Recipe


class OcclusionObjective(nn.Module):
    """What the parts that deal with occlusion lose.  Nobody is named, so the faces need no identities."""

    needs_clean = False
    names_people = False

    def __init__(self, model: FaceModel, loss: nn.Module | None, recipe: Recipe):
        super().__init__()
        if not model.has_occlusion_loss:
            raise OptionError(
                f"recipe {recipe.name!r} teaches a model what is covered, and no part of this one learns it; "
                "occmask.attach(model, 'occupancy') adds one that does"
            )

    def forward(self, model: FaceModel, loss: nn.Module | None, batch: FaceBatch) -> Losses:
        if batch.truth is None:
            raise DataError("what is covered is learnt from faces that occmask covers; use a clean_share below 1")
        occlusion = model.occlusion_loss(model(batch.image), batch.truth)
        return Losses(occlusion, {"occlusion": occlusion})
