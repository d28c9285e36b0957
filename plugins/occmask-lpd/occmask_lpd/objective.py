"""Who it is, told by the whole face, by its free part, and by both together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

import occmask


class LpdObjective(nn.Module):
    """total = L(whole) + L(part) + joined * L(whole ++ part) + lambda * what the part locator loses.

    The first two are the published classification losses, one a branch (Ding et al., ACM MM 2020).  Each is the margin
    loss on its half of the embedding with its half of the class weights, (C, D) of (C, 2 D), so nothing is
    learnt that the margin loss does not keep.  lambda is the recipe's `occlusion_weight`; `joined` weighs the
    margin loss of the embedding that is compared in the end.  Raises `OptionError` for a model without a part locator.
    """

    needs_clean = False

    def __init__(
        self, model: occmask.FaceModel, loss: occmask.MarginLoss, recipe: occmask.Recipe, *, joined: float = 1.0
    ):
        super().__init__()
        if model.part_locator is None:
            raise occmask.OptionError(
                "objective 'lpd' trains a model that looks at a part of the face; build it with one, such as "
                "part_locator='lpd' or part_locator='fixed'"
            )
        if joined < 0:
            raise occmask.OptionError(f"objective 'lpd': joined is a weight, zero or more, not {joined!r}")
        self.joined, self.weight = joined, recipe.occlusion_weight
        self.halves = nn.ModuleDict({name: _half(loss) for name in ("whole", "part")})

    def forward(self, model: occmask.FaceModel, loss: occmask.MarginLoss, batch: occmask.FaceBatch) -> occmask.Losses:
        output = model(batch.image)
        embeddings, weights = output.embedding.chunk(2, dim=1), loss.weight.chunk(2, dim=1)
        terms: dict[str, Tensor] = {}
        for (name, half), embedding, weight in zip(self.halves.items(), embeddings, weights, strict=True):
            terms[name] = functional_call(half, {"weight": weight}, (embedding, batch.label))
        total = terms["whole"] + terms["part"]
        if self.joined > 0:
            terms["joined"] = loss(output.embedding, batch.label)
            total = total + self.joined * terms["joined"]
        if self.weight > 0 and model.has_occlusion_loss:
            truth = batch.truth or occmask.OcclusionTruth(batch.image.new_zeros(len(batch.image), 4))
            terms["occlusion"] = model.occlusion_loss(output, truth)
            total = total + self.weight * terms["occlusion"]
        return occmask.Losses(total, terms, output.embedding)


def _half(loss: occmask.MarginLoss) -> occmask.MarginLoss:
    """A margin loss of half the width, of the same kind, whose class weights come with each call."""
    half = occmask.build_loss(
        loss.spec,
        embedding_dim=loss.embedding_dim // 2,
        num_classes=loss.num_classes,
        precision=loss.precision,
        cache=loss.cache,
    )
    half.weight = nn.Parameter(torch.empty(0), requires_grad=False)  # a checkpoint has nothing to keep of it
    return half
