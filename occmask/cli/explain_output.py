"""What `occmask explain` says of a face, and where its pictures and lines go."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import OptionError
from ..images.pixels import Pixels
from ..report.coverage_picture import CoveragePicture, draw_coverage_sheet
from ..shapes import REGIONS, OcclusionAnswer

LINES, SHEET = "occlusion.jsonl", "sheet.png"
_DIGITS = 4  # of probabilities in JSON


class Explained(NamedTuple):
    """One face and the answer about it, in plain numbers."""

    name: str
    frame: int | None
    image: Pixels  # (H, W, 3)
    cells: NDArray[np.float32]  # (K, K)
    box: NDArray[np.float32]  # (4,)
    covered: float
    coverage: NDArray[np.float32]  # (h, w)
    regions: dict[str, float]

    @classmethod
    def of(cls, answer: OcclusionAnswer, index: int, *, name: str, frame: int | None, image: Pixels) -> Explained:
        """The answer about one face of a batch."""
        assert answer.coverage is not None
        assert answer.regions is not None
        cells, box, coverage = (x[index].float().numpy() for x in (answer.cells, answer.box, answer.coverage))
        regions = dict(zip(REGIONS, answer.regions[index].tolist(), strict=True))
        return cls(name, frame, image, cells, box, float(answer.covered[index]), coverage, regions)

    def record(self) -> dict[str, Any]:
        """For JSON: one line of `occlusion.jsonl`; docs/occlusion.md says what the entries are."""
        return {
            "face": self.name,
            "frame": self.frame,
            "covered": round(self.covered, _DIGITS),
            "box": _rounded(self.box),
            "regions": {name: round(share, _DIGITS) for name, share in self.regions.items()},
            "cells": _rounded(self.cells),
            "coverage": _rounded(self.coverage),
            "picture": None,
        }

    def drawing(self) -> CoveragePicture:
        """What is drawn of it."""
        return CoveragePicture(
            image=self.image,
            coverage=self.coverage,
            box=self.box,
            covered=self.covered,
            regions=self.regions,
            title=self.title,
        )

    @property
    def title(self) -> str:
        """The file, and the frame of one that has several."""
        return self.name if self.frame is None else f"{self.name}, frame {self.frame}"

    def in_words(self, image_size: tuple[int, int]) -> str:
        """One line for a person."""
        height, width = image_size
        x0, y0, x1, y1 = (round(float(edge) * side) for edge, side in zip(self.box, (width, height) * 2, strict=True))
        where = f"most likely the box from ({x0}, {y0}) to ({x1}, {y1}) of {width} x {height} pixels"
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.regions.items() if share >= 0.005)
        said = f"{self.title}: covered with probability {self.covered:.2f}"
        return f"{said}, {where if self.box.any() else 'most likely nothing'}" + (f"; {shares}" if shares else "")


class Sheet:
    """At most `most` faces of however many come, evenly spaced: every second is dropped whenever there are too many."""

    def __init__(self, most: int):
        self.most, self.every, self.seen = most, 1, 0
        self.kept: list[CoveragePicture] = []

    def add(self, picture: CoveragePicture) -> None:
        if self.most and self.seen % self.every == 0:
            self.kept.append(picture)
            if len(self.kept) > self.most:
                self.kept, self.every = self.kept[::2], 2 * self.every
        self.seen += 1


class OneFile:
    """The picture of one face."""

    def __init__(self, path: Path):
        self.path = check_picture(path)

    def write(self, picture: Image.Image, explained: Explained) -> str:
        _save(picture, self.path)
        return str(self.path)

    def finish(self) -> str:
        return f"drawn in {self.path}"


class OutFolder:
    """A folder of pictures, with a line of JSON a face and a sheet of them all."""

    def __init__(self, path: Path, sheet: Sheet):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise OptionError(f"{path} is not a new or empty folder; several faces are written to one")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise OptionError(f"cannot make the folder {path}: {e.strerror}; choose another") from e
        self.path, self.sheet = path, sheet
        self.taken = {SHEET}

    def write(self, picture: Image.Image, explained: Explained) -> str:
        name = self._free(explained)
        _save(picture, self.path / name)
        with open(self.path / LINES, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({**explained.record(), "picture": name}) + "\n")
        self.sheet.add(explained.drawing())
        return name

    def finish(self) -> str:
        if self.sheet.kept:
            _save(draw_coverage_sheet(self.sheet.kept), self.path / SHEET)
        return f"drawn in {self.path}, told in {self.path / LINES}"

    def _free(self, explained: Explained) -> str:
        """The face's own path with .png at its end, and a number where two files would be one."""
        path = PurePosixPath(explained.name)
        stem = str(path.with_suffix("")) if explained.frame is None else f"{path.with_suffix('')}/{explained.frame:06d}"
        name, number = f"{stem}.png", 1
        while name.casefold() in self.taken:
            number += 1
            name = f"{stem}_{number}.png"
        self.taken.add(name.casefold())
        return name


def check_picture(path: Path) -> Path:
    """A path that ends as a picture that can be written does; `OptionError` otherwise."""
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise OptionError(f"cannot write a picture to {path}; use a name that ends in .png")
    return path


def _save(picture: Image.Image, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    except (ValueError, OSError) as e:
        raise OptionError(f"cannot write a picture to {path} ({e}); use a name that ends in .png") from e


def _rounded(array: NDArray[np.float32]) -> Any:
    return np.round(array.astype(np.float64), _DIGITS).tolist()
