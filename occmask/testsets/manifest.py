"""The manifest of a test set: JSON lines that say what was done to every picture, enough to do it again.

The first line is the header; then one line a picture, in the order of writing, one for every picture of the source that
was skipped, and one a pair.  Every line has a `kind`: "header", "picture", "skipped" or "pair".
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import PIL
from numpy.typing import NDArray

from ..errors import DataError
from ..images.pixels import Pixels
from ..images.reading import shown
from ..version import __version__

FORMAT = 1
FILE = "manifest.jsonl"


@dataclass(frozen=True, kw_only=True)
class PictureLine:
    """What a manifest says of one picture; boxes are x0 y0 x1 y1, x1 and y1 the first column and row outside."""

    name: str  # "person/picture.png", under images/ and visible/
    source: str
    source_sha256: str  # of the decoded pixels, RGB row by row
    condition: str  # the recipe's, or "clean"
    occluder: str
    box: list[int]  # in pixels, around what is covered; zeros when nothing is
    box_fraction: list[float]  # the same, divided by W H W H
    covered: int  # pixels
    share: float  # of the picture that is covered
    sha256: str  # of the written pixels, RGB row by row
    visible_sha256: str  # of the visible map as bytes 0 and 255, row by row
    crop: list[int] | None = None  # the box that was also written to crops/
    points: list[list[float]] | None = None  # the picture's own five points, where it has them

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """The line that JSON holds; `DataError` for another set of entries."""
        known = {field.name for field in fields(cls)}
        try:
            return cls(**{key: value for key, value in plain.items() if key in known})
        except TypeError as e:
            raise DataError(f"a manifest's picture has other entries than {', '.join(sorted(known))}") from e


@dataclass(frozen=True)
class Manifest:
    """A whole manifest: `header`, the lines of pictures, and those of what was skipped and of pairs as they are."""

    header: Mapping[str, Any]
    pictures: tuple[PictureLine, ...]
    others: tuple[Mapping[str, Any], ...]


def versions() -> dict[str, str]:
    """Of what decides the pixels and the bytes of a PNG file."""
    return {"occmask": __version__, "numpy": np.__version__, "pillow": PIL.__version__}


def pixels_sha256(pixels: Pixels | NDArray[np.bool_]) -> str:
    """Of the array's bytes, row by row; True is 255, as a map's picture has it."""
    if pixels.dtype == bool:
        pixels = np.where(pixels, np.uint8(255), np.uint8(0))
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def line(kind: str, entries: Mapping[str, Any]) -> str:
    """One line of a manifest, with its end."""
    return json.dumps({"kind": kind, **entries}) + "\n"


def picture_line(picture: PictureLine) -> str:
    """The line of a picture, without the entries it does not have."""
    return line("picture", {key: value for key, value in asdict(picture).items() if value is not None})


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """A finished manifest.  Raises `DataError` for anything else, naming the line."""
    lines = _lines(Path(path), whole=True)
    header = next(lines, None)
    if header is None or header["kind"] != "header" or "counts" not in header:
        raise DataError(f"{shown(path)}: not the manifest of a test set; it begins with its header")
    if header.get("format") != FORMAT:
        raise DataError(f"{shown(path)}: manifest format {header.get('format')!r}; this version reads {FORMAT}")
    pictures, others = [], []
    for entries in lines:
        if entries["kind"] == "picture":
            pictures.append(PictureLine.of(entries))
        else:
            others.append(entries)
    counts = header["counts"]
    if len(pictures) != counts.get("pictures"):
        raise DataError(
            f"{shown(path)}: {len(pictures)} pictures, and the header says {counts.get('pictures')}; it was cut short"
        )
    return Manifest(header, tuple(pictures), tuple(others))


def read_unfinished(path: Path) -> tuple[Mapping[str, Any], list[PictureLine]]:
    """The header and the pictures of a manifest that was being written; a torn last line is as good as none."""
    lines = _lines(path, whole=False)
    header = next(lines, None)
    if header is None or header["kind"] != "header":
        raise DataError(f"{shown(path)}: holds no header to go on from; begin again in another folder")
    return header, [PictureLine.of(entries) for entries in lines if entries["kind"] == "picture"]


def _lines(path: Path, *, whole: bool) -> Iterator[dict[str, Any]]:
    try:
        with open(path, encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if not text.endswith("\n") and not whole:
                    return
                yield _entries(text, f"{shown(path)}: line {number}")
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "not UTF-8 text"
        raise DataError(f"{shown(path)}: the manifest cannot be read ({reason})") from e


def _entries(text: str, where: str) -> dict[str, Any]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, dict) or not isinstance(entries.get("kind"), str):
        raise DataError(f"{where}: not a line of a manifest, which is a JSON object with a 'kind'")
    return entries
