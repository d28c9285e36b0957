"""The recogniser around the head, taken apart: top map in, embedding out."""

from __future__ import annotations

from torch import Tensor

from occmask import FaceModel, OptionError

from .head import PdsnHead


def pdsn_head(model: FaceModel) -> PdsnHead:
    """The model's head, if it is ours and nothing else deals with occlusion; `OptionError` otherwise."""
    if not isinstance(model.head, PdsnHead):
        found = "none" if model.head is None else f"a {type(model.head).__name__}"
        raise OptionError(
            f"the dictionary belongs to head 'pdsn', and this model has {found}; build it with head='pdsn'"
        )
    others = [name for name in model.config.occlusion_parts if name != "head"]
    if others:
        raise OptionError(
            f"PDSN compares the trunk's features of clean and covered faces, and this model has a {others[0]} besides; "
            f"build it with {others[0]}=None"
        )
    return model.head


def top_map(model: FaceModel, images: Tensor) -> Tensor:
    """The trunk's last map of (B, 3, H, W)."""
    maps = model.backbone(images)
    return maps[-1]


def embed_kept(model: FaceModel, top: Tensor, keep: Tensor) -> Tensor:
    """The embedding (B, D) of what is kept of the top map, both (B, C, H, W)."""
    return model.embedding(top * keep.to(top))
