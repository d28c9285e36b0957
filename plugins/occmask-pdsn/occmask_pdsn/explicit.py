"""PDSN told what is covered, with other options, and with FROM's head as its detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from occmask import FaceModel, OcclusionTruth, OptionError, ShapeError, Spec, build, load_model

from .recognition import embed_kept, pdsn_head, top_map


def embed_with_blocks(model: FaceModel, images: Tensor, blocks: Tensor) -> Tensor:
    """Embed faces whose covered blocks are known, without the detector.

    images: (B, 3, H, W) as the model takes them; blocks: (B, K * K) or (B, K, K) booleans, row 0 at the top.
    Returns (B, D), not normalised.  Raises `ShapeError` for blocks that do not fit.
    """
    head = pdsn_head(model)
    if len(blocks) != len(images):
        raise ShapeError(f"{len(images)} faces need the blocks of as many, not of {len(blocks)}")
    return embed_kept(model, top_map(model, images), ~head.discarded(blocks.flatten(1)))


def true_blocks(model: FaceModel, truth: OcclusionTruth) -> Tensor:
    """The blocks that count as covered, (B, K * K) booleans, from covered maps or boxes."""
    return pdsn_head(model).true_blocks(truth)


def changed(model: FaceModel, **options: Any) -> FaceModel:
    """The same weights and dictionary under other options of the head, such as `threshold=0.6`; a new model.

    `k` and `detector` say what the weights are for and cannot be changed so.
    """
    head = pdsn_head(model)
    fixed = [name for name in ("k", "detector") if name in options]
    if fixed:
        raise OptionError(f"{fixed[0]} says what weights the head has; build a model with the other one and train it")
    other = build(model.config.override(head=_spec(model).replace(**options)))
    other.load_state_dict(model.state_dict())
    other.origin = dict(model.origin)
    return other.to(head.dictionary.device).train(model.training)


def with_from_detector(model: FaceModel, path: str | Path) -> FaceModel:
    """The model with FROM's head of a checkpoint as its detector; a new model, in evaluation mode.

    The head reads the trunk that it was trained on, so this raises `OptionError` unless both trunks hold the same
    weights, as when FROM was trained by "retrofit" from the same baseline.  The file is not needed afterwards.
    """
    head, other = pdsn_head(model), load_model(path)
    if other.config.head is None or other.head is None:
        raise OptionError(f"{path} holds a model without a head; give one of FROM")
    ours, theirs = (m.get_submodule("backbone").state_dict() for m in (model, other))
    if ours.keys() != theirs.keys() or any(not torch.equal(ours[name].cpu(), theirs[name]) for name in ours):
        raise OptionError(
            f"the head in {path} reads another trunk than this model's; train it by recipe 'retrofit' on this one"
        )
    spec = _spec(model).replace(detector=Spec("from", head=other.config.head))
    built = build(model.config.override(head=spec))
    for part in ("backbone", "embedding"):
        built.get_submodule(part).load_state_dict(model.get_submodule(part).state_dict())
    mine = pdsn_head(built)
    mine.dictionary.copy_(head.dictionary)
    mine.detector.head.load_state_dict(other.head.state_dict())  # type: ignore[attr-defined]
    return built.eval()


def _spec(model: FaceModel) -> Spec:
    assert model.config.head is not None
    return model.config.head
