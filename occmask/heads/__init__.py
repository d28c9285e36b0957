"""Occlusion heads: feature maps -> a mask that cleans the face, and a prediction of what is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..registry import Registry
from ..shapes import FeatureShape, Occlusion, OcclusionAnswer, OcclusionTruth

if TYPE_CHECKING:
    from torch import Tensor


class OcclusionHead(Protocol):
    """A module built as `factory(shapes: FaceShapes, **options)` and called with the backbone's maps.

    Four attributes are optional.  `gates: bool`, False: this head says what is covered and gives no mask, so that the
    embedding is what it would be without it.  `threshold: float | None` makes the model gate hard at that value.
    `mask_logits(maps) -> Tensor` gives the mask alone: a head that has it pays for its pattern only
    when somebody asks; without it the whole head runs every time.  `predict_pattern(gate) -> Tensor` predicts
    from the soft mask, sigmoid(logits), alone: a head that has both is given the gate that the model has
    computed anyway, and its forward, which must be the two in a row, is then not called by the model.
    """

    def __call__(self, maps: Sequence[Tensor]) -> Occlusion: ...  # maps finest first
    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor: ...  # scalar
    def answer(self, pattern: Tensor) -> OcclusionAnswer: ...


class MaskDecoder(Protocol):
    """A module built as `factory(source: FeatureShape, shapes: FaceShapes, **options)`.

    `needs_pyramid` (read from the factory before building) says what `source` is: the pyramid's
    finest level X3, or the top map X1.  `mask_shape` is (C, H, W), (1, H, W) or (D,).
    """

    needs_pyramid: bool
    mask_shape: tuple[int, ...]

    def __call__(self, source: Tensor) -> Tensor: ...  # (B, C', H', W') -> logits (B, *mask_shape)


class PatternPredictor(Protocol):
    """A module built as `factory(mask_shape: tuple[int, ...], image: FeatureShape, **options)`.

    With an option `temperature` it can be calibrated (`occmask.calibrate`): `answer` divides its logits by the
    attribute of that name.  Unless the pattern is coverage logits (B, 1, h, w), `evidence(pattern, truth)` then says
    what the temperature is fitted to: class logits (B, C) and labels (B,), or logits and outcomes in [0, 1], both (B,).
    """

    k: int

    def __call__(self, mask: Tensor) -> Tensor: ...  # soft mask in [0, 1], (B, *mask_shape) -> pattern
    def loss(self, pattern: Tensor, truth: OcclusionTruth) -> Tensor: ...  # scalar
    def answer(self, pattern: Tensor) -> OcclusionAnswer: ...


HEADS: Registry[OcclusionHead] = Registry(
    "head",
    "occmask.heads",
    {"from": "occmask.heads.from_head:FromHead", "occupancy": "occmask.heads.occupancy:OccupancyHead"},
)

MASK_DECODERS: Registry[MaskDecoder] = Registry(
    "mask decoder",
    "occmask.mask_decoders",
    {
        "full": "occmask.heads.mask_decoders:FullMask",
        "spatial": "occmask.heads.mask_decoders:SpatialMask",
        "vector": "occmask.heads.mask_decoders:VectorMask",
        "deep": "occmask.heads.mask_decoders:DeepMask",
    },
)

PATTERN_PREDICTORS: Registry[PatternPredictor] = Registry(
    "pattern predictor",
    "occmask.pattern_predictors",
    {
        "classification": "occmask.heads.pattern_predictors:PatternClassifier",
        "regression": "occmask.heads.pattern_predictors:BoxRegressor",
        "mask": "occmask.heads.mask_reading:MaskReading",
    },
)

__all__ = [
    "HEADS",
    "MASK_DECODERS",
    "PATTERN_PREDICTORS",
    "FeatureShape",
    "MaskDecoder",
    "OcclusionHead",
    "PatternPredictor",
]
