"""Cutting a box out of every image, with a gradient to the box (a spatial transformer without rotation).

Source: Jaderberg et al., Spatial Transformer Networks, NeurIPS 2015, eq. 1 with scale and shift only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def crop_part(images: Tensor, box: Tensor) -> Tensor:
    """The box (B, 4), x0 y0 x1 y1 over W H W H, of each image (B, C, H, W), sized to H x W, bilinear.

    Beyond the image its edge is repeated.
    """
    low, high = box[:, :2], box[:, 2:]
    scale, centre = high - low, high + low - 1  # in the units of affine_grid, where the image spans -1 .. 1
    zero = torch.zeros_like(scale[:, 0])
    x = torch.stack([scale[:, 0], zero, centre[:, 0]], dim=1)
    y = torch.stack([zero, scale[:, 1], centre[:, 1]], dim=1)
    grid = F.affine_grid(torch.stack([x, y], dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
