"""A gallery as JSON lines: one for what it is, then one a picture."""

from __future__ import annotations

import base64
import binascii
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError, OptionError
from ..images.reading import shown
from ..matching.storage import MAX_BYTES, decode
from .entries import Face, PictureSource
from .reading import kept_pictures
from .store import Store
from .texts import checksum
from .units import units_of

FORMAT = 1
MAX_LINE = MAX_BYTES * 4 // 3 + (1 << 20)
_TEXTS = ("person", "name", "sha256", "enrolled", "template", "checksum")


class Line(NamedTuple):
    """One picture of a file of `export`."""

    number: int
    person: str
    note: dict[str, Any]
    source: PictureSource
    enrolled: str
    record: bytes


def write_lines(store: Store, path: Path, *, model: str) -> int:
    """Write to a neighbour that only its owner may read, and rename."""
    count = 0
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as e:
        raise DataError(f"{shown(path)}: cannot be written ({e.strerror}); choose another folder") from e
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps({"occmask_gallery": FORMAT, "model": model}) + "\n")
            for kept in kept_pictures(store):
                if not kept.whole:
                    raise DataError(
                        f"{shown(store.path)}: picture {kept.number} of {kept.person!r} is damaged; see check"
                    )
                line = {
                    "person": kept.person,
                    "note": json.loads(kept.note),
                    "name": kept.name,
                    "sha256": kept.sha256,
                    "enrolled": kept.enrolled,
                    "details": json.loads(kept.details),
                    "template": base64.b64encode(kept.record).decode(),
                    "checksum": checksum(kept.record).hex(),
                }
                file.write(json.dumps(line) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as e:
        raise DataError(f"{shown(path)}: cannot be written ({e.strerror})") from e
    finally:
        Path(name).unlink(missing_ok=True)
    return count


def read_lines(path: Path, *, model: str) -> Iterator[Line]:
    """The pictures of a file of `export`.  `DataError` naming the line that is none."""
    try:
        with open(path, "rb") as file:
            for number, text in enumerate(iter(lambda: file.readline(MAX_LINE), b""), start=1):
                where = f"{shown(path)}, line {number}"
                if not text.endswith(b"\n"):
                    raise DataError(f"{where}: cut off, or too long")
                plain = _object(text, where)
                if number == 1:
                    _check_header(plain, where, model)
                else:
                    yield _line(plain, number, where)
    except OSError as e:
        raise DataError(f"{shown(path)}: cannot be read ({e.strerror})") from e


def add_lines(store: Store, path: Path, *, model: str) -> int:
    """Enrol all of a file of `export`; how many pictures.  `DataError` naming the line that cannot be."""
    count = 0
    for line in read_lines(path, model=model):
        face = Face(units_of(decode([line.record]))[0], line.record, line.source, line.enrolled)
        try:
            store.enrol(line.person, [face], note=line.note)
        except (DataError, OptionError) as e:
            raise DataError(f"{shown(path)}, line {line.number}: {e}") from e
        count += 1
    return count


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise DataError(f"{where}: no JSON ({e})") from e
    if not isinstance(plain, dict):
        raise DataError(f"{where}: no JSON object")
    return plain


def _check_header(plain: dict[str, Any], where: str, model: str) -> None:
    if plain.get("occmask_gallery") != FORMAT:
        raise DataError(f"{where}: no export of a gallery, or of a later version than {FORMAT}")
    if plain.get("model") != model:
        raise DataError(
            f"{where}: templates of the model {str(plain.get('model'))[:12]!r}..., and this gallery is of "
            f"{model[:12]!r}...; they cannot be compared"
        )


def _line(plain: dict[str, Any], number: int, where: str) -> Line:
    texts = {name: plain.get(name) for name in _TEXTS}
    note, details = plain.get("note"), plain.get("details")
    if not all(isinstance(text, str) for text in texts.values()) or not (
        isinstance(note, dict) and isinstance(details, dict)
    ):
        raise DataError(f"{where}: not a picture of a gallery: texts {', '.join(_TEXTS)} and objects note, details")
    try:
        record = base64.b64decode(str(texts["template"]), validate=True)
    except (binascii.Error, ValueError) as e:
        raise DataError(f"{where}: its template is no base64 ({e})") from e
    if checksum(record).hex() != texts["checksum"]:
        raise DataError(f"{where}: the checksum does not fit the template; it is damaged")
    source = PictureSource(name=str(texts["name"]), sha256=str(texts["sha256"]), details=details)
    return Line(number, str(texts["person"]), note, source, str(texts["enrolled"]), record)
