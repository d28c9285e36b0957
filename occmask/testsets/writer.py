"""Writing a test set picture by picture, so that a run that was stopped leaves something to go on from."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import DataError, OptionError
from ..images.pixels import Pixels, is_grey
from ..images.reading import shown
from ..records.writing import replacing
from .manifest import FILE, PictureLine, line, picture_line, read_unfinished
from .plan import NamedPair
from .recipe import Made

UNFINISHED = f"{FILE}.unfinished"
PAIRS = "pairs.csv"


class TestSetWriter:
    """Writes `images/`, `visible/`, `crops/` and the manifest under `out`; a context manager.

    The manifest has its own name only when everything is there.  `out` must be new or empty; with `resume` it may hold
    what an earlier run with the same header left, and `done` names those pictures.  Raises
    `OptionError` for any other folder and `DataError` when the header is another one.
    """

    __test__ = False  # no test, whatever pytest thinks of the name

    def __init__(self, out: str | os.PathLike[str], header: Mapping[str, Any], *, resume: bool = False):
        self.out = Path(out)
        self._header = dict(header)
        self._counts: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._sources = hashlib.sha256()
        unfinished = self.out / UNFINISHED
        earlier: list[PictureLine] = []
        if resume and unfinished.exists():
            was, earlier = read_unfinished(unfinished)
            _check_same(was, {"kind": "header", **self._header}, self.out)
        else:
            _check_new(self.out)
        self.done = tuple(picture.name for picture in earlier)
        self.out.mkdir(parents=True, exist_ok=True)
        for picture in earlier:
            self._count(picture)
        with replacing(unfinished) as file:  # whoever is killed here leaves the earlier lines, or a whole header
            begun = (line("header", self._header), *map(picture_line, earlier))
            file.writelines(text.encode() for text in begun)
        self._file = open(unfinished, "a", encoding="utf-8")  # noqa: SIM115 - closed on exit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, picture: PictureLine, made: Made) -> None:
        """Write the pictures of one line, and then the line."""
        _save(made.image, self.out / "images" / picture.name)
        _save_map(~made.covered, self.out / "visible" / picture.name)
        if made.crop is not None:
            x0, y0, x1, y1 = made.crop
            _save(made.image[y0:y1, x0:x1], self.out / "crops" / picture.name)
        self._count(picture)
        self._file.write(picture_line(picture))
        self._file.flush()

    def finish(self, *, others: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> dict[str, Any]:
        """Write the (kind, entries) lines that are no pictures, the list of pairs, and the header with its counts."""
        pairs = []
        for kind, entries in others:
            self._file.write(line(kind, entries))
            self._counts["pairs" if kind == "pair" else kind] += 1
            if kind == "pair":
                pairs.append(NamedPair(entries["left"], entries["right"], entries["same"]))
        self._file.close()
        counts = {
            name: self._counts[name] for name in ("pictures", "covered", "untouched", "clean", "skipped", "pairs")
        }
        header = {
            **self._header,
            "counts": counts,
            "source": {"pictures": len(self._seen), "sha256": self._sources.hexdigest()},
        }
        if pairs:
            _write(self.out / PAIRS, _pair_list(pairs))
        whole = self.out / f"{FILE}.whole"
        with open(self.out / UNFINISHED, encoding="utf-8") as lines, open(whole, "w", encoding="utf-8") as file:
            next(lines)
            file.write(line("header", header))
            shutil.copyfileobj(lines, file)
        os.replace(whole, self.out / FILE)
        (self.out / UNFINISHED).unlink()
        return header

    def _count(self, picture: PictureLine) -> None:
        clean = picture.condition == "clean"
        self._counts.update(["pictures", "clean" if clean else "covered" if picture.covered else "untouched"])
        if picture.source not in self._seen:
            self._seen.add(picture.source)
            self._sources.update(f"{picture.source_sha256} {picture.source}\n".encode(errors="surrogateescape"))


def _check_new(out: Path) -> None:
    if (out / UNFINISHED).exists():
        raise OptionError(
            f"{shown(out)} holds an unfinished test set; go on with resume (--resume), or take another folder"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OptionError(f"{shown(out)} is not a new or empty folder; a test set is written to one of its own")


def _check_same(was: Mapping[str, Any], now: Mapping[str, Any], out: Path) -> None:
    other = [key for key in sorted({*was, *now}) if was.get(key) != now.get(key)]
    if other:
        raise DataError(
            f"{shown(out)} was begun with another {', '.join(other)}; go on with the same settings, or take another "
            "folder"
        )


def _save(image: Pixels, path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if is_grey(image) else image).save(buffer, format="PNG")
    _write(path, buffer.getvalue())


def _save_map(visible: NDArray[np.bool_], path: Path) -> None:
    """White is visible, one bit a pixel."""
    buffer = io.BytesIO()
    Image.fromarray(np.where(visible, np.uint8(255), np.uint8(0))).convert("1").save(buffer, format="PNG")
    _write(path, buffer.getvalue())


def _pair_list(pairs: Iterable[NamedPair]) -> bytes:
    """left,right,same, named from the list's own folder, and the people, whom no folder structure need tell then."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("left", "right", "same", "left_person", "right_person"))
    for left, right, same in pairs:
        people = (name.partition("/")[0] for name in (left, right))
        rows.writerow((f"images/{left}", f"images/{right}", int(same), *people))
    return text.getvalue().encode(errors="surrogateescape")


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except (OSError, ValueError) as e:
        raise DataError(f"{shown(path)}: cannot be written ({e})") from e
