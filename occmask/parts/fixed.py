"""A part that is the same in every aligned face."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import OptionError
from ..shapes import FeatureShape


class FixedPart(nn.Module):
    """The same box of every face: by default its upper half, which a face mask leaves free.

    `box`: x0 y0 x1 y1 in fractions of the image.  The control of whatever looks for the part.
    """

    box: Tensor

    def __init__(self, image: FeatureShape, *, box: Sequence[float] = (0.0, 0.0, 1.0, 0.5)):
        super().__init__()
        if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):
            raise OptionError(f"part locator 'fixed': box is x0 y0 x1 y1 with x0 < x1 and y0 < y1, not {box!r}")
        # It follows from the options: the checkpoint need not carry it.
        self.register_buffer("box", torch.tensor([*box], dtype=torch.float32), persistent=False)

    def forward(self, images: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, 4)
        return self.box.to(images).expand(images.shape[0], 4)
