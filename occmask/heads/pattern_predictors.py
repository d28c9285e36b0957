"""Occlusion pattern predictors: read the soft mask, say which part of the face is covered.

Source: Qiu et al., TPAMI 2022, section 3.2: classification over the block rectangles of a K x K grid (the paper's
choice), and regression of the box's two corners with a squared error.
"""

from __future__ import annotations

from math import inf

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import OptionError, ShapeError
from ..initialise import xavier_initialise
from ..map_layers import MapLinear, MapNorm
from ..patterns import PatternGrid
from ..shapes import FeatureShape, OcclusionAnswer, OcclusionTruth


def _box_in_pixels(truth: OcclusionTruth, image: FeatureShape) -> NDArray[np.float64]:
    """(B, 4) whole pixels x0 y0 x1 y1. Rounding undoes the division by the image's size exactly."""
    sides = np.array([image.width, image.height, image.width, image.height])
    pixels: NDArray[np.float64] = np.rint(truth.box.detach().cpu().double().numpy() * sides)
    return pixels


def _check_dropout(predictor: str, dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise OptionError(f"pattern predictor {predictor!r}: dropout lies in [0, 1), not {dropout!r}")


def check_temperature(predictor: str, temperature: float) -> None:
    """Raise `OptionError` unless logits can be divided by it."""
    if not 0 < temperature < inf:
        raise OptionError(f"pattern predictor {predictor!r}: temperature is positive, not {temperature!r}")


def _check_width(predictor: str, pattern: Tensor, width: int) -> None:
    if pattern.ndim != 2 or pattern.shape[1] != width:
        raise ShapeError(
            f"pattern predictor {predictor!r} answers for a (B, {width}) pattern, not {tuple(pattern.shape)}; "
            "ask the model for it with occlusion=True"
        )


class PatternClassifier(nn.Sequential):
    """Class logits over the (K(K+1)/2)^2 + 1 patterns of `PatternGrid(k)`; class 0 is "nothing is covered".

    Trained with cross entropy against the pattern of best IoU with the true box (paper eq. for L_pred).
    `k`: cells a side; `dropout`: probability in [0, 1); `logit_gain`: initial weight of the last BatchNorm.  The
    published 1 holds the logits so close together that among 226 classes no probability can rise above about a
    tenth before the gain itself has grown, which takes longer than a short run lasts.
    `temperature`: what the logits are divided by before they are called probabilities: see `calibrate`.
    """

    covering: Tensor  # (P, K * K) float: which cells each pattern covers
    iou: Tensor  # (P, P): IoU of every two patterns; "nothing" with itself is 1
    boxes: Tensor  # (P, 4) fractions of the image

    def __init__(
        self,
        mask_shape: tuple[int, ...],
        image: FeatureShape,
        *,
        k: int = 5,
        dropout: float = 0.5,
        logit_gain: float = 1.0,
        temperature: float = 1.0,
    ):
        _check_dropout("classification", dropout)
        check_temperature("classification", temperature)
        if not 0 < logit_gain < inf:
            raise OptionError(f"pattern predictor 'classification': logit_gain is positive, not {logit_gain!r}")
        grid = PatternGrid(k, image_size=(image.height, image.width))
        patterns = grid.num_patterns
        super().__init__(
            nn.Identity(),  # where others flatten: files name the layers by their place
            MapNorm(mask_shape),
            nn.Dropout(dropout),
            MapLinear(mask_shape, patterns, bias=False),
            nn.BatchNorm1d(patterns),
        )
        xavier_initialise(self)
        nn.init.constant_(self[-1].weight, logit_gain)  # type: ignore[arg-type]
        self.k, self.grid, self.image, self.temperature = k, grid, image, temperature
        sides = np.array([image.width, image.height, image.width, image.height])
        cells = grid.cells(np.arange(patterns)).reshape(patterns, k * k)
        # Tables follow from k and the image: the checkpoint need not carry them.
        self.register_buffer("covering", torch.from_numpy(cells).float(), persistent=False)
        self.register_buffer("iou", torch.from_numpy(grid.iou_table()).float(), persistent=False)
        self.register_buffer("boxes", torch.from_numpy(grid.boxes / sides).float(), persistent=False)

    def evidence(self, pattern: Tensor, truth: OcclusionTruth) -> tuple[Tensor, Tensor]:
        """Class logits (B, P) and the true pattern of each face (B,), what a temperature is fitted to."""
        label = torch.from_numpy(self.grid.label(_box_in_pixels(truth, self.image)))
        return pattern, label.to(pattern.device)

    def loss(self, pattern: Tensor, truth: OcclusionTruth) -> Tensor:  # (B, P) -> scalar
        return F.cross_entropy(*self.evidence(pattern, truth))

    def answer(self, pattern: Tensor) -> OcclusionAnswer:  # (B, P)
        """Cell and cover probabilities, and the box: nothing where that is the likeliest single pattern, otherwise the
        rectangle with the highest expected IoU under the prediction."""
        _check_width("classification", pattern, self.grid.num_patterns)
        probability = (pattern / self.temperature).softmax(1)
        cells = (probability @ self.covering.to(pattern.dtype)).unflatten(1, (self.k, self.k))
        rectangle = 1 + (probability @ self.iou.to(pattern.dtype))[:, 1:].argmax(1)
        best = torch.where(probability.argmax(1) == 0, 0, rectangle)
        return OcclusionAnswer(cells.clamp(0, 1), self.boxes.to(pattern.dtype)[best], 1 - probability[:, 0])


class BoxRegressor(nn.Sequential):
    """(B, 5): the covered box's corners x0 y0 x1 y1 in [0, 1], and a logit that anything is covered at all.

    The corners are trained with a squared error on covered faces only; the logit on all of them.
    `k`: cells a side of the answer's map; `dropout`: probability in [0, 1).  `temperature`: what the logit is divided
    by before it is called a probability: see `calibrate`.
    """

    def __init__(
        self,
        mask_shape: tuple[int, ...],
        image: FeatureShape,
        *,
        k: int = 5,
        dropout: float = 0.5,
        temperature: float = 1.0,
    ):
        _check_dropout("regression", dropout)
        check_temperature("regression", temperature)
        if not isinstance(k, int) or not 1 <= k <= min(image.height, image.width):
            raise OptionError(
                f"pattern predictor 'regression': k is a whole number from 1 to the image's side, not {k!r}"
            )
        # Where others flatten stands an Identity: files name the layers by their place.
        super().__init__(nn.Identity(), MapNorm(mask_shape), nn.Dropout(dropout), MapLinear(mask_shape, 5))
        xavier_initialise(self)
        self.k, self.temperature = k, temperature

    def forward(self, mask: Tensor) -> Tensor:  # soft mask (B, ...) -> (B, 5)
        raw = super().forward(mask)
        return torch.cat([raw[:, :4].sigmoid(), raw[:, 4:]], dim=1)

    def evidence(self, pattern: Tensor, truth: OcclusionTruth) -> tuple[Tensor, Tensor]:
        """The logit that anything is covered (B,), and whether it is (B,), what a temperature is fitted to."""
        box = truth.box.to(pattern)
        return pattern[:, 4], (box[:, 2:] > box[:, :2]).all(1).to(pattern.dtype)

    def loss(self, pattern: Tensor, truth: OcclusionTruth) -> Tensor:  # (B, 5) -> scalar
        box = truth.box.to(pattern)
        logit, covered = self.evidence(pattern, truth)
        error = (pattern[:, :4] - box).square().mean(1)
        # Mean over the covered faces; a batch without one adds zero rather than 0 / 0.
        corners = (error * covered).sum() / covered.sum().clamp_min(1)
        return corners + F.binary_cross_entropy_with_logits(logit, covered)

    def answer(self, pattern: Tensor) -> OcclusionAnswer:  # (B, 5)
        """The box (zero where "nothing" is likelier), and each cell's covered share times the cover probability."""
        _check_width("regression", pattern, 5)
        covered = (pattern[:, 4] / self.temperature).sigmoid()
        first, second = pattern[:, :2], pattern[:, 2:4]
        low, high = torch.minimum(first, second), torch.maximum(first, second)  # (B, 2) x y
        edges = torch.linspace(0, 1, self.k + 1, device=pattern.device, dtype=pattern.dtype)
        overlap = torch.minimum(high[:, :, None], edges[1:]) - torch.maximum(low[:, :, None], edges[:-1])
        share_x, share_y = (overlap.clamp_min(0) * self.k).unbind(1)  # (B, K) each
        cells = covered[:, None, None] * share_y[:, :, None] * share_x[:, None, :]
        box = torch.cat([low, high], dim=1) * (covered >= 0.5)[:, None]
        return OcclusionAnswer(cells.clamp(0, 1), box, covered)
