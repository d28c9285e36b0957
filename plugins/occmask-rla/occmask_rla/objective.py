"""The objective: restore the face, find the cover, and keep the person."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import occmask

from .discriminator import Discriminator
from .restorer import RobustAutoencoder


class RestorationObjective(nn.Module):
    """What the restorer learns from pairs of a covered and an uncovered picture (Zhao et al., TIP 2018).

    reconstruction: 0.5 * ||restored - clean||^2 per face, of pixels in [0, 1] (mean of the colours)
    painting:       the same for the first channel's whole face, before it is composed with the input
    detector:       the restorer's own loss; weighted by the recipe's `occlusion_weight`
    identity:       margin loss of the restored face through the recogniser
    distance:       1 - cosine of the restored and the clean face's embeddings
    adversarial:    cross entropy of a discriminator that the restorer works against, by a reversed gradient

    Each is weighted by the option of its name; a term of weight 0 is not computed.  The recogniser is not trained as
    long as the recipe freezes it.
    """

    needs_clean = True

    def __init__(
        self,
        model: occmask.FaceModel,
        loss: occmask.MarginLoss,
        recipe: occmask.Recipe,
        *,
        reconstruction: float = 1.0,
        painting: float = 1.0,
        identity: float = 3.0,
        distance: float = 0.0,
        adversarial: float = 0.0,
    ):
        super().__init__()
        weights = {
            "reconstruction": reconstruction,
            "painting": painting,
            "detector": recipe.occlusion_weight,
            "identity": identity,
            "distance": distance,
            "adversarial": adversarial,
        }
        for name, weight in weights.items():
            if weight < 0:
                raise occmask.OptionError(f"objective 'rla': {name} is a weight, 0 or more, not {weight!r}")
        if not isinstance(model.restorer, RobustAutoencoder):
            raise occmask.OptionError("objective 'rla' trains restorer 'rla'; build the model with restorer='rla'")
        self.weights = weights
        self.discriminator = Discriminator() if adversarial > 0 else None

    def forward(self, model: occmask.FaceModel, loss: occmask.MarginLoss, batch: occmask.FaceBatch) -> occmask.Losses:
        restorer = model.restorer
        assert isinstance(restorer, RobustAutoencoder)
        assert batch.clean is not None
        assert batch.truth is not None
        restorer.meet(batch.clean)
        decoded = restorer.decode(batch.image)
        restored = restorer.compose(batch.image, decoded)
        terms: dict[str, Tensor] = {}
        if self.weights["reconstruction"] > 0:
            terms["reconstruction"] = squared_error(restored, batch.clean)
        if self.weights["painting"] > 0:
            terms["painting"] = squared_error(restorer.paint(batch.image, decoded), batch.clean)
        if self.weights["detector"] > 0:
            terms["detector"] = restorer.loss(decoded.coverage, batch.truth)
        embedding = None
        if self.weights["identity"] > 0 or self.weights["distance"] > 0:
            embedding = _embed(model, restored)
        if self.weights["identity"] > 0:
            terms["identity"] = loss(embedding, batch.label)
        if self.weights["distance"] > 0:
            with torch.no_grad():
                wanted = _embed(model, batch.clean)
            assert embedding is not None
            terms["distance"] = (1 - F.cosine_similarity(embedding, wanted)).mean()
        if self.discriminator is not None:
            terms["adversarial"] = self.discriminator.loss(batch.clean, restored)
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return occmask.Losses(total, terms, embedding)


def squared_error(images: Tensor, wanted: Tensor) -> Tensor:
    """0.5 * ||x - y||^2 of pixels in [0, 1], mean over colours and faces: images (B, 3, H, W) in [-1, 1] -> scalar."""
    return 0.5 * ((images - wanted) / 2).square().mean((0, 1)).sum()


def _embed(model: occmask.FaceModel, images: Tensor) -> Tensor:
    """What the recogniser alone makes of pictures that need no restoring."""
    return model.embedding(model.backbone(images)[-1])
