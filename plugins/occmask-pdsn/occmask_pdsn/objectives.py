"""What PDSN's two stages minimise (Song et al., ICCV 2019, section 3; weights as in the published code)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from occmask import DataError, FaceBatch, FaceModel, Losses, MarginLoss, OptionError, Recipe

from .building import DictionaryBuilder, read_dictionary
from .generators import MaskGenerators
from .recognition import embed_kept, pdsn_head, top_map

_EMPTY = "PDSN learns from the covered faces, and these batches say of none what is covered"


class MaskObjective(nn.Module):
    """Stage 1: the mask generators, on pairs of a clean face and the same face with exactly one block covered.

    total = (margin loss of the masked clean face + that of the masked covered face) / 2
    + `consistency` * mean |masked difference|, where one mask, of the covered block's generator, masks both.
    Trunk, embedding and classifier are to be frozen, as the recipe "pdsn_masks" does.  The generators are this
    objective's own: they are in its checkpoints and not in the finished model.  After the last step the dictionary is
    built from `pairs` more pairs a block, on average.  Faces without a covered block are passed over.
    """

    needs_clean = True

    def __init__(
        self, model: FaceModel, loss: MarginLoss, recipe: Recipe, *, consistency: float = 10.0, pairs: int = 24
    ):
        super().__init__()
        if not consistency >= 0 or pairs < 1:
            raise OptionError(
                f"objective 'pdsn_masks': consistency is zero or more and pairs at least 1, not {consistency!r} and "
                f"{pairs!r}"
            )
        head = pdsn_head(model)
        placed = recipe.placement.options.get("k", 5) if recipe.placement.name == "cell" else head.k
        if placed != head.k:
            raise OptionError(
                f"recipe {recipe.name!r} covers cells of k={placed} and the head has blocks of k={head.k}; "
                f"set placement=Spec('cell', k={head.k})"
            )
        self.consistency = consistency
        self.finishing_batches = -(-head.blocks.count * pairs // recipe.batch_size)
        self.generators = MaskGenerators(head.blocks.count, model.backbone.shapes[-1])

    def forward(self, model: FaceModel, loss: MarginLoss, batch: FaceBatch) -> Losses:
        clean, covered, block, label = _pairs(model, batch)
        if not len(block):
            raise DataError(f"{_EMPTY}; the recipe's clean_share must leave some covered")
        both = top_map(model, torch.cat([clean, covered]))
        before, after = both.chunk(2)
        keep = self.generators((before - after).abs(), block)
        embedding = embed_kept(model, both, torch.cat([keep, keep]))
        of_clean, of_covered = embedding.chunk(2)
        identity = (loss(of_clean, label) + loss(of_covered, label)) / 2
        difference = (keep * (before - after)).abs().mean()
        shown = of_covered if len(label) == len(batch.label) else None  # its accuracy is told against the whole batch
        return Losses(identity + self.consistency * difference, {"identity": identity, "difference": difference}, shown)

    def finish(self, model: FaceModel, batches: Iterator[FaceBatch]) -> None:
        """Build the dictionary from more of the same pairs."""
        self.eval()
        builder = DictionaryBuilder(model, self.generators)
        for batch in batches:
            clean, covered, block, _ = _pairs(model, batch)
            builder.add(clean, covered, block)
        builder.write()


class TuningObjective(nn.Module):
    """Stage 2: the recogniser learns to live with the masks, and the detector to find the covered blocks.

    total = margin loss of the face masked by the dictionary + `occlusion_weight` * the detector's loss.  The masks are
    those of the blocks that are covered in truth, so the recogniser does not learn from a detector's first errors; a
    face without one keeps everything.  `dictionary`: a checkpoint of the first stage to take it from; None: the model
    has one.
    """

    needs_clean = False

    def __init__(self, model: FaceModel, loss: MarginLoss, recipe: Recipe, *, dictionary: str | None = None):
        super().__init__()
        head = pdsn_head(model)
        self.weight = recipe.occlusion_weight
        if dictionary is not None:
            read_dictionary(head, dictionary)
        if not head.is_built:
            raise OptionError(
                f"recipe {recipe.name!r} tunes with a dictionary, and this model's is empty: train 'pdsn_masks' first "
                "and go on with its model, or name its checkpoint by objective=Spec('pdsn_tuning', dictionary=PATH)"
            )

    def forward(self, model: FaceModel, loss: MarginLoss, batch: FaceBatch) -> Losses:
        if batch.truth is None:
            raise DataError(_EMPTY)
        head = pdsn_head(model)
        maps = model.backbone(batch.image)
        discarded = head.discarded(head.true_blocks(batch.truth))
        embedding = embed_kept(model, maps[-1], ~discarded)
        identity = loss(embedding, batch.label)
        detection = identity.new_zeros(())
        if self.weight > 0:
            detection = head.loss(head(maps), batch.truth)
        total = identity + self.weight * detection
        return Losses(total, {"identity": identity, "detection": detection}, embedding)


def _pairs(model: FaceModel, batch: FaceBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clean and covered faces, the most covered block and the label, of the faces that have one."""
    if batch.truth is None or batch.clean is None:
        raise DataError(_EMPTY)
    share = pdsn_head(model).blocks.covered_share(batch.truth)
    rows = (share.amax(1) > 0).nonzero()[:, 0]
    return batch.clean[rows], batch.image[rows], share[rows].argmax(1), batch.label[rows]
