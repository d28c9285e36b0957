"""Reading pictures: a file or its bytes -> a decoded picture, upright, as mode L, RGB or RGBA."""

from __future__ import annotations

import io
import os
import stat
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import DataError

# Only plain raster formats: Pillow would start Ghostscript for an EPS file.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 50_000_000  # of one picture
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
    return _decode(os.fspath(path), shown(path))


def read_bytes(path: str | os.PathLike[str], *, name: str | None = None) -> bytes:
    """The content of a picture file, not decoded; `name` is what messages call it, the path itself if left out.

    Raises `DataError`: missing, a folder, not a regular file, empty.
    """
    called = shown(path) if name is None else name
    reason = _why_not_a_file(path)
    if reason is not None:
        raise DataError(f"{called}: {reason}")
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as e:
        raise DataError(f"{called}: cannot be read ({_one_line(e)})") from e


def decode_picture(data: bytes, name: str) -> Image.Image:
    """The same for an encoded picture in memory; `name` is what messages call it."""
    if not data:
        raise DataError(f"{name}: empty file")
    return _decode(io.BytesIO(data), name)


def _decode(source: str | bytes | BinaryIO, name: str) -> Image.Image:
    try:
        with Image.open(source, formats=FORMATS) as file:
            _check_pixels(file.size)
            file.load()
            return _plain(ImageOps.exif_transpose(file))
    except UnidentifiedImageError:
        raise DataError(f"{name}: not a picture in a format that is read ({', '.join(FORMATS)})") from None
    except Exception as e:  # decoders raise whatever their parser stumbles over: OSError, SyntaxError, struct.error
        raise DataError(f"{name}: truncated or damaged picture ({_one_line(e)})") from e


def _check_pixels(size: tuple[int, int]) -> None:
    """A few bytes can claim a picture that fills the memory."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than the {MAX_PIXELS} that are read")


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
