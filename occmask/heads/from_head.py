"""The FROM head: feature pyramid -> mask decoder -> occlusion pattern predictor (Qiu et al., TPAMI 2022, Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..errors import OptionError, ShapeError
from ..shapes import FaceShapes, Occlusion, OcclusionAnswer, OcclusionTruth
from ..spec import Spec
from . import MASK_DECODERS, PATTERN_PREDICTORS
from .pyramid import FeaturePyramid


class FromHead(nn.Module):
    """A mask from the pyramid's finest level, supervised by predicting what is covered from it.

    `width`: channels of the pyramid; `mask_decoder`, `pattern_predictor`: names or Specs; `threshold`: None gates
    softly (the paper's choice), a number in (0, 1) keeps elements whose soft mask reaches it and drops the rest.
    The predictor always reads the soft mask.
    """

    def __init__(
        self,
        shapes: FaceShapes,
        *,
        width: int = 256,
        mask_decoder: Spec | str = "full",
        pattern_predictor: Spec | str = "classification",
        threshold: float | None = None,
    ):
        super().__init__()
        if not isinstance(width, int) or width < 1:
            raise OptionError(f"head 'from': width is a positive whole number, not {width!r}")
        if threshold is not None and not 0 < threshold < 1:
            raise OptionError(f"head 'from': threshold is None (soft) or lies in (0, 1), not {threshold!r}")
        decoder = Spec.of(mask_decoder)
        self.threshold = threshold
        self.pyramid: FeaturePyramid | None = None
        source = shapes.maps[-1]
        if getattr(MASK_DECODERS[decoder.name], "needs_pyramid", True):
            self.pyramid = FeaturePyramid(shapes.maps, width=width)
            source = self.pyramid.shape
        self.mask_decoder = MASK_DECODERS.build(decoder, source, shapes)
        self.pattern_predictor = PATTERN_PREDICTORS.build(pattern_predictor, self.mask_decoder.mask_shape, shapes.image)

    def mask_logits(self, maps: Sequence[Tensor]) -> Tensor:  # finest first -> (B, *mask_shape)
        """The mask alone, all that the embedding needs."""
        return self.mask_decoder(self.pyramid(maps) if self.pyramid is not None else maps[-1])

    def predict_pattern(self, gate: Tensor) -> Tensor:  # soft mask in [0, 1], (B, *mask_shape) -> pattern
        """What is covered, as the predictor puts it, from the soft mask alone."""
        return self.pattern_predictor(gate)

    def forward(self, maps: Sequence[Tensor]) -> Occlusion:  # finest first
        mask = self.mask_logits(maps)
        return Occlusion(mask, self.predict_pattern(mask.sigmoid()))

    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor:  # scalar
        """The pattern predictor's loss; the paper's L_pred."""
        if occlusion.pattern is None:
            raise ShapeError(
                "the head's loss needs the pattern: call the model in training mode or with occlusion=True"
            )
        return self.pattern_predictor.loss(occlusion.pattern, truth)

    def answer(self, pattern: Tensor) -> OcclusionAnswer:
        """What is covered, in probabilities."""
        return self.pattern_predictor.answer(pattern)
