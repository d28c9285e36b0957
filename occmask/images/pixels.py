"""Pixels: a decoded picture -> uint8 of the size a model takes -> the tensor it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import DataError, ShapeError
from .input_spec import InputSpec

if TYPE_CHECKING:
    from torch import Tensor

Pixels: TypeAlias = NDArray[np.uint8]


def fit(picture: Image.Image, image_size: tuple[int, int]) -> Pixels:
    """The picture as uint8 (H, W, 3) of `image_size` = (height, width).

    The right size is taken as it is.  Otherwise the largest centred part of the right aspect is resized,
    bilinearly over every source pixel; an aligned 112x112 crop thus becomes 112x96 by its columns 8..104,
    without resampling.  Grey is repeated three times; what is transparent becomes black.
    """
    height, width = image_size
    if picture.mode == "RGBA":
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(black, picture)
    picture = picture.convert("RGB")
    if picture.size != (width, height):
        scale = max(width / picture.width, height / picture.height)
        # at most the picture: width / (width / picture.width) may exceed it by a rounding error
        part_width, part_height = min(width / scale, picture.width), min(height / scale, picture.height)
        left, top = (picture.width - part_width) / 2, (picture.height - part_height) / 2
        box = (left, top, min(left + part_width, picture.width), min(top + part_height, picture.height))
        picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.array(picture)


def crop(picture: Image.Image, image_size: tuple[int, int], name: str) -> Pixels:
    """An aligned picture as uint8 (H, W, 3) of `image_size`, without resampling.

    A picture of that size is taken as it is; one of the same height and a greater width gives its middle columns,
    as a 112x112 crop does to 112x96 (its columns 8..104).  Anything else was aligned otherwise, or not at all, and
    resizing it would cost accuracy: `DataError`.
    """
    height, width = image_size
    spare = picture.width - width
    if picture.height != height or spare < 0 or spare % 2:
        raise DataError(
            f"{name}: {picture.height}x{picture.width} (height x width), not {height}x{width} or a wider crop of it: "
            "align it (occmask align), or allow resizing (resize=True, --resize) where that is known to do no harm"
        )
    return fit(picture, image_size)


def sized(picture: Image.Image, image_size: tuple[int, int], name: str, *, resize: bool) -> Pixels:
    """An aligned picture at `image_size`: cropped, or resized from any other size where that is allowed."""
    return fit(picture, image_size) if resize else crop(picture, image_size, name)


def to_tensor(images: Pixels, spec: InputSpec | None = None) -> Tensor:
    """uint8 RGB pixels (N, H, W, 3) as the float32 tensor (N, 3, H, W) that a model of this spec takes.

    Without a spec: RGB, (x - 127.5) / 127.5, in [-1, 1].  Raises `ShapeError` for anything else than
    uint8 (N, H, W, 3), or another size than the spec's.
    """
    import torch

    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ShapeError(
            f"pictures are uint8 of shape (N, H, W, 3), not {images.dtype} of shape {tuple(images.shape)}; "
            "one picture is image[None]"
        )
    if spec is None:
        spec = InputSpec(size=images.shape[1:3])
    elif images.shape[1:3] != spec.size:
        raise ShapeError(f"the pictures are {images.shape[1:3]} and the model takes {spec.size} (height, width)")
    if spec.colour == "BGR":
        images = images[..., ::-1]
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return tensor.to(torch.float32).sub_(spec.mean).div_(spec.scale)


def luminance(pixels: Pixels) -> Pixels:
    """The colours' luminance (ITU-R BT.601), repeated three times: (..., 3) -> (..., 3)."""
    weights = np.array([299, 587, 114], np.uint32)
    grey = ((pixels.astype(np.uint32) @ weights + 500) // 1000).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def is_grey(pixels: Pixels) -> bool:
    """Whether the three channels of (..., 3) are equal everywhere."""
    return bool((pixels[..., :1] == pixels[..., 1:]).all())


def check_image_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """`image_size` as two positive integers (height, width); `ShapeError` otherwise."""
    try:
        height, width = image_size
        if int(height) == height > 0 and int(width) == width > 0:
            return int(height), int(width)
    except (TypeError, ValueError):
        pass
    raise ShapeError(f"image_size is (height, width) in pixels, such as (112, 96), not {image_size!r}")
