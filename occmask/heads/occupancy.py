"""The occupancy head: how much of each place of the picture is covered, on a grid finer than the pattern's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..coverage import answer_from_coverage, coverage_loss, coverage_target
from ..errors import OptionError, ShapeError
from ..shapes import FaceShapes, FeatureShape, Occlusion, OcclusionAnswer, OcclusionTruth
from ..spec import Spec
from . import HEADS

CELL = 4  # pixels a side of a cell of the grid
DILATIONS = (1, 2, 4, 1)  # of the context's layers: together they see the whole face


class OccupancyHead(nn.Module):
    """Logits of "covered" (B, 1, H / 4, W / 4), from the maps of a trunk that it leaves as it is.

    Whether a patch is skin or cover is seen from its surroundings and from where it lies.  So all maps are first read
    on a grid half as fine, where each place has features of its own, dilated layers and a mean over the whole face;
    then again on the fine grid, where that context joins the detail of the finer maps.  Trained with the binary cross
    entropy of the covered share of each cell and a Dice loss of each face.

    `width`: channels of the fine grid; `context`: of the coarse one; `dropout` of whole channels, in [0, 1).
    `dice`: weight of the Dice loss, which counts a small cover as much as a large one (Milletari et al., 3DV 2016,
    section 3).
    `detached`: the trunk learns nothing from this head, so any recogniser, frozen or not, can have one; False trains
    both together.  `gate`: another head, name or Spec, whose mask cleans the face as before; None cleans nothing.
    `temperature`: what the logits are divided by before they are called probabilities: see `calibrate`.
    """

    def __init__(
        self,
        shapes: FaceShapes,
        *,
        width: int = 32,
        context: int = 48,
        dropout: float = 0.1,
        dice: float = 0.5,
        detached: bool = True,
        gate: Spec | str | None = None,
        temperature: float = 1.0,
    ):
        super().__init__()
        for name, value in (("width", width), ("context", context)):
            if not isinstance(value, int) or value < 1:
                raise OptionError(f"head 'occupancy': {name} is a positive whole number, not {value!r}")
        if not 0 <= dropout < 1:
            raise OptionError(f"head 'occupancy': dropout lies in [0, 1), not {dropout!r}")
        if not dice >= 0:
            raise OptionError(f"head 'occupancy': dice is the weight of a loss, zero or more, not {dice!r}")
        if not temperature > 0:
            raise OptionError(f"head 'occupancy': temperature is positive, not {temperature!r}")
        image, maps = shapes.image, shapes.maps
        self.size = (max(1, image.height // CELL), max(1, image.width // CELL))
        self.coarse = (-(-self.size[0] // 2), -(-self.size[1] // 2))
        self.detached, self.dice, self.temperature = detached, float(dice), temperature
        self.gate = None if gate is None else HEADS.build(gate, shapes)
        self.threshold: float | None = getattr(self.gate, "threshold", None)
        # Trunks end their stages with sums of many branches, of any size: here each channel gets its own scale.
        self.scales = nn.ModuleList(nn.BatchNorm2d(shape.channels) for shape in maps)
        self.readers = nn.ModuleList(_reader(shape, width, self.size) for shape in maps)
        self.surroundings = nn.Parameter(torch.zeros(1, context, *self.coarse))
        self.enter = nn.Conv2d(width, context, 3, 1, 1)
        self.coarse_readers = nn.ModuleList(nn.Conv2d(shape.channels, context, 1) for shape in maps[-2:])
        self.around = nn.ModuleList(_Residual(context, dilation=d) for d in DILATIONS)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(context, context, 1), nn.PReLU(context))
        self.leave = nn.Conv2d(context, width, 1)
        self.detail = _Residual(width)
        self.decide = nn.Sequential(
            nn.BatchNorm2d(width), nn.PReLU(width), nn.Dropout2d(dropout), nn.Conv2d(width, 1, 3, 1, 1)
        )
        self.place = nn.Parameter(torch.zeros(1, 1, *self.size))

    @property
    def gates(self) -> bool:
        """Whether the face is cleaned, by `gate`."""
        return self.gate is not None

    def mask_logits(self, maps: Sequence[Tensor]) -> Tensor:
        """The mask of `gate` alone, all that the embedding needs."""
        if self.gate is None:
            raise OptionError("head 'occupancy' without a gate has no mask")
        alone = getattr(self.gate, "mask_logits", None)
        mask: Tensor | None = alone(maps) if alone is not None else self.gate(maps).mask
        if mask is None:
            raise ShapeError("the gate of head 'occupancy' gives no mask; leave gate out")
        return mask

    def forward(self, maps: Sequence[Tensor]) -> Occlusion:  # finest first -> pattern (B, 1, H / 4, W / 4)
        mask = None if self.gate is None else self.mask_logits(maps)
        return Occlusion(mask, self._logits([x.detach() for x in maps] if self.detached else maps))

    def _logits(self, maps: Sequence[Tensor]) -> Tensor:
        scaled = [scale(x) for scale, x in zip(self.scales, maps, strict=True)]
        fine = torch.stack([_onto(read(x), self.size) for read, x in zip(self.readers, scaled, strict=True)]).sum(0)
        seen = self.enter(_onto(fine, self.coarse)) + self.surroundings
        for read, x in zip(self.coarse_readers, scaled[-2:], strict=True):
            seen = seen + _onto(read(x), self.coarse)
        for layer in self.around:
            seen = layer(seen)
        seen = seen + self.whole(seen)
        fine = self.detail(fine + _onto(self.leave(seen), self.size))
        return self.decide(fine) + self.place  # type: ignore[no-any-return]

    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor:  # scalar
        """Mean binary cross entropy with the covered share of each cell, and `dice` times the mean Dice loss.

        `DataError` without `truth.covered`.
        """
        logits = occlusion.pattern
        if logits is None:
            raise ShapeError("the head's loss needs the coverage: call the model in training or with occlusion=True")
        loss = coverage_loss(logits, truth)
        return loss + self.dice * dice_loss(logits, truth) if self.dice else loss

    def answer(self, pattern: Tensor) -> OcclusionAnswer:  # (B, 1, H / 4, W / 4)
        """What is covered, in probabilities."""
        return answer_from_coverage(pattern / self.temperature)


def dice_loss(coverage: Tensor, truth: OcclusionTruth) -> Tensor:
    """1 - (2 sum p t + 1) / (sum p + sum t + 1), of the cells of each face, its mean over faces: a scalar.

    p: probabilities of logits (B, 1, h, w); t: covered shares.  The 1, a cell, gives clean faces a loss, too.
    """
    probability = coverage.sigmoid().flatten(1)
    target = coverage_target(truth, (coverage.shape[2], coverage.shape[3])).to(probability).flatten(1)
    both = (probability * target).sum(1)
    return (1 - (2 * both + 1) / (probability.sum(1) + target.sum(1) + 1)).mean()


class _Residual(nn.Module):
    """BN-PReLU-conv3x3, plus what came in."""

    def __init__(self, channels: int, *, dilation: int = 1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


def _reader(shape: FeatureShape, width: int, size: tuple[int, int]) -> nn.Conv2d:
    """A map to `width` channels: of one finer than the grid every pixel is read, in steps of the grid's."""
    step = max(1, round(shape.height / size[0]))
    if step == 1:
        return nn.Conv2d(shape.channels, width, 1)
    kernel = step + 1 + step % 2  # odd, and wider than a step
    return nn.Conv2d(shape.channels, width, kernel, step, kernel // 2)


def _onto(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map on a grid: means of what is finer, between the values of what is coarser."""
    height, width = x.shape[-2:]
    if (height, width) == size:
        return x
    if height >= size[0] and width >= size[1]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
