"""What a picture's file is called after the dot."""

from __future__ import annotations

EXTENSIONS = (".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")  # of pictures
HEAD = 12  # bytes that `extension_of` looks at
UNKNOWN = ".bin"  # of what is no picture

_BEGINNINGS = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"\0\0\0\x0cjP  ", ".jp2"),
    (b"P5", ".pgm"),
    (b"P6", ".ppm"),
)


def extension_of(head: bytes) -> str:
    """`.jpg`, `.png`, ... by the magic number an encoded picture begins with; `.bin` when it is none of a picture."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    return next((extension for beginning, extension in _BEGINNINGS if head.startswith(beginning)), UNKNOWN)
