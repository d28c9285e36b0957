"""The occupancy head: how much of each place of the picture is covered, on a grid finer than the pattern's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..coverage import answer_from_coverage, coverage_loss
from ..errors import OptionError, ShapeError
from ..shapes import FaceShapes, Occlusion, OcclusionAnswer, OcclusionTruth
from ..spec import Spec
from . import HEADS

CELL = 4  # pixels a side of a cell of the grid


class OccupancyHead(nn.Module):
    """Logits of "covered" (B, 1, H / 4, W / 4), from the maps of a trunk that it leaves as it is.

    A pyramid sums the trunk's maps on the grid; a context branch looks at the two coarsest, with dilation and a mean
    over the whole face, because whether a patch is skin or cover is seen from its surroundings; and each place of the
    grid has a bias of its own.  Trained with the binary cross entropy of the covered share of each cell.

    `width`: channels of the pyramid; `context`: of the context branch; `dropout` of whole channels, in [0, 1).
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
        if not temperature > 0:
            raise OptionError(f"head 'occupancy': temperature is positive, not {temperature!r}")
        image, maps = shapes.image, shapes.maps
        self.size = (max(1, image.height // CELL), max(1, image.width // CELL))
        self.detached, self.temperature = detached, temperature
        self.gate = None if gate is None else HEADS.build(gate, shapes)
        self.threshold: float | None = getattr(self.gate, "threshold", None)
        self.laterals = nn.ModuleList(nn.Conv2d(shape.channels, width, 1) for shape in maps)
        coarse = maps[-2:]
        self.coarse = (coarse[0].height, coarse[0].width)
        self.enter = _layer(sum(shape.channels for shape in coarse), context)
        self.around = nn.ModuleList(_layer(context, context, dilation=d) for d in (2, 3))
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(context, context, 1), nn.PReLU(context))
        self.leave = nn.Conv2d(context, width, 1)
        self.decide = nn.Sequential(
            nn.PReLU(width),
            nn.BatchNorm2d(width),
            *_layer(width, width),
            nn.Dropout2d(dropout),
            nn.Conv2d(width, 1, 1),
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
        pyramid = torch.stack(
            [_onto(lateral(x), self.size) for lateral, x in zip(self.laterals, maps, strict=True)]
        ).sum(0)
        seen = self.enter(torch.cat([_onto(x, self.coarse) for x in maps[-2:]], dim=1))
        for layer in self.around:
            seen = seen + layer(seen)
        seen = seen + self.whole(seen)
        return self.decide(pyramid + _onto(self.leave(seen), self.size)) + self.place  # type: ignore[no-any-return]

    def loss(self, occlusion: Occlusion, truth: OcclusionTruth) -> Tensor:  # scalar
        """Mean binary cross entropy with the covered share of each cell; `DataError` without `truth.covered`."""
        if occlusion.pattern is None:
            raise ShapeError("the head's loss needs the coverage: call the model in training or with occlusion=True")
        return coverage_loss(occlusion.pattern, truth)

    def answer(self, pattern: Tensor) -> OcclusionAnswer:  # (B, 1, H / 4, W / 4)
        """What is covered, in probabilities."""
        return answer_from_coverage(pattern / self.temperature)


def _layer(channels: int, width: int, *, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, 3, 1, dilation, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.PReLU(width))


def _onto(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map on a grid: means of what is finer, between the values of what is coarser."""
    height, width = x.shape[-2:]
    if (height, width) == size:
        return x
    if height >= size[0] and width >= size[1]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
