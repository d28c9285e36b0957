"""Reading pictures of faces: a file -> a decoded picture -> uint8 pixels of the size a model takes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import DataError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

Pixels: TypeAlias = NDArray[np.uint8]

# Only plain raster formats: Pillow would start Ghostscript for an EPS file.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_DIRECT = ("L", "RGB", "RGBA")
_WITH_ALPHA = ("LA", "PA", "La", "RGBa")
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def shown(path: str | os.PathLike[str]) -> str:
    """The path as one printable piece of a message, whatever bytes its name is made of."""
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)


def read_picture(path: str | os.PathLike[str]) -> Image.Image:
    """Decode a whole picture file, turned upright by its EXIF orientation, as mode L, RGB or RGBA.

    Palettes, CMYK, 16-bit and bilevel pictures are converted; of an animation the first frame is read.
    The content decides, not the extension.  Raises `DataError` naming the file and why it cannot be
    used: missing, a folder, empty, truncated, not a picture.
    """
    reason = _why_not_a_file(path)
    if reason is not None:
        raise DataError(f"{shown(path)}: {reason}")
    try:
        with Image.open(path, formats=FORMATS) as file:
            file.load()
            return _plain(ImageOps.exif_transpose(file))
    except UnidentifiedImageError:
        raise DataError(f"{shown(path)}: not a picture in a format that is read ({', '.join(FORMATS)})") from None
    except Exception as e:  # decoders raise whatever their parser stumbles over: OSError, SyntaxError, struct.error
        raise DataError(f"{shown(path)}: truncated or damaged picture ({_one_line(e)})") from e


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


def to_tensor(images: Pixels) -> Tensor:
    """uint8 pixels (N, H, W, 3) as a float32 tensor (N, 3, H, W): (x - 127.5) / 127.5, in [-1, 1].

    Raises `ShapeError` for anything else than uint8 (N, H, W, 3).
    """
    import torch

    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ShapeError(
            f"pictures are uint8 of shape (N, H, W, 3), not {images.dtype} of shape {tuple(images.shape)}; "
            "one picture is image[None]"
        )
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return tensor.to(torch.float32).sub_(127.5).div_(127.5)


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


def _why_not_a_file(path: str | os.PathLike[str]) -> str | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as e:
        return "no such file" if isinstance(e, FileNotFoundError) else f"cannot be read ({_one_line(e)})"
    if stat.S_ISDIR(status.st_mode):
        return "a folder where a picture file was expected"
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
        return "not a regular file"
    return "empty file" if status.st_size == 0 else None


def _plain(picture: Image.Image) -> Image.Image:
    if picture.mode in _SIXTEEN_BIT:
        values = np.clip(np.asarray(picture).astype(np.int64), 0, 65535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if picture.mode in _WITH_ALPHA or (picture.mode != "RGBA" and "transparency" in picture.info):
        return picture.convert("RGBA")
    if picture.mode in _DIRECT:
        return picture
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no fixed white; save it with 8 or 16 bits")
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
