"""Pictures on their way between a person's disk, the page and the model: always in memory, never in a file."""

from __future__ import annotations

import base64
import binascii
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..errors import DataError
from ..images.pixels import Pixels, crop, fit, is_grey
from ..images.reading import decode_picture

MAX_BYTES = 5_000_000  # of a picture's file


class Opened(NamedTuple):
    """A picture at the model's size, and what had to be done to it in words; empty when nothing."""

    pixels: Pixels  # (H, W, 3)
    note: str = ""

    @property
    def grey(self) -> bool:
        return is_grey(self.pixels)


def open_picture(data: bytes, image_size: tuple[int, int], *, name: str = "this file") -> Opened:
    """An encoded picture at the model's (height, width): aligned crops as they are, others cut and resized.

    Raises `DataError` for more than `MAX_BYTES`, too many pixels, and what is no picture.
    """
    if len(data) > MAX_BYTES:
        raise DataError(f"{name}: more than {MAX_BYTES // 1_000_000} MB; save the picture smaller")
    picture = decode_picture(data, name)
    try:
        return Opened(crop(picture, image_size, name))
    except DataError:  # of another size
        pass
    height, width = image_size
    shape = picture.width * height / (picture.height * width)  # 1: the same aspect
    cut = "" if abs(shape - 1) < 0.02 else f", and its {'sides' if shape > 1 else 'top and bottom'} were cut off"
    note = (
        f"Resized from {picture.width} x {picture.height}{cut}. Scores mean something only for an aligned face: eyes, "
        "nose and mouth have to lie on the marks. occmask align cuts such faces out of photographs."
    )
    return Opened(fit(picture, image_size), note)


def as_url(pixels: Pixels) -> str:
    """Pixels (H, W, 3 or 4) as a PNG in a data: address."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def bytes_of_url(url: object, *, name: str = "this picture") -> bytes:
    """What a base64 data: address holds; `DataError` for anything else, and for what is too large to be a picture."""
    if not isinstance(url, str) or not url.startswith("data:"):
        raise DataError(f"{name}: not a data: address")
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise DataError(f"{name}: a data: address in base64 is read")
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise DataError(f"{name}: more than {MAX_BYTES // 1_000_000} MB; save the picture smaller")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"{name}: damaged base64") from None


def pixels_of_url(url: object, image_size: tuple[int, int], *, name: str = "this picture") -> Pixels:
    """A picture that the page sends back, already at the model's size; `DataError` for another."""
    picture = decode_picture(bytes_of_url(url, name=name), name)
    if (picture.height, picture.width) != image_size:
        raise DataError(f"{name}: {picture.height}x{picture.width}, not {image_size[0]}x{image_size[1]}; open it anew")
    return fit(picture, image_size)
