"""Who it is, and what is covered: the objective of FROM and of every recogniser without a mask branch."""

from __future__ import annotations

from torch import nn

from ..margins.loss import MarginLoss
from ..models.face import FaceModel
from ..shapes import FaceBatch, OcclusionTruth
from .objectives import Losses
from .recipe import Recipe


class IdentityObjective(nn.Module):
    """total = margin loss + lambda * what the parts that deal with occlusion lose (Qiu et al., TPAMI 2022).

    lambda is the recipe's `occlusion_weight`; at 0 nothing of the second is computed.
    """

    needs_clean = False

    def __init__(self, model: FaceModel, loss: MarginLoss, recipe: Recipe):
        super().__init__()
        self.weight = recipe.occlusion_weight if recipe.parts else 0.0

    def forward(self, model: FaceModel, loss: MarginLoss, batch: FaceBatch) -> Losses:
        output = model(batch.image)
        identity = loss(output.embedding, batch.label)
        occlusion = identity.new_zeros(())
        if self.weight > 0 and model.has_occlusion_loss:
            occlusion = model.occlusion_loss(output, batch.truth or _nothing_covered(batch))
        total = identity + self.weight * occlusion
        return Losses(total, {"identity": identity, "occlusion": occlusion}, output.embedding)


def _nothing_covered(batch: FaceBatch) -> OcclusionTruth:
    return OcclusionTruth(batch.image.new_zeros(batch.image.shape[0], 4))
