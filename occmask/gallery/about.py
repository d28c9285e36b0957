"""What a gallery says of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ..errors import OptionError
from ..matching.storage import RecordKind
from ..version import __version__
from .store import Store
from .texts import check_text


class GalleryInfo(NamedTuple):
    """What a gallery is."""

    path: str
    model: str
    kind: RecordKind | None  # None before the first face
    people: int
    pictures: int
    bytes: int  # of the file and its log
    created: str
    created_by: str


def about_new(model: str, precision: str | None) -> dict[str, str]:
    """The notes of a new file.  `OptionError` for a model without a name."""
    if not isinstance(model, str) or not model.strip():
        raise OptionError(f"model is the fingerprint of a model, as occmask.fingerprint(model) gives it, not {model!r}")
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "model": check_text(model),
        "precision": precision or "float16",
        "created": created,
        "occmask": __version__,
    }


def info_of(store: Store) -> GalleryInfo:
    """Everything at one moment."""
    with store.reading():
        about, (people, pictures), kind = store.about(), store.count(), store.kind()
    sizes = [Path(f"{store.path}{suffix}") for suffix in ("", "-wal")]
    size = sum(one.stat().st_size for one in sizes if one.exists())
    made = about.get("created", ""), about.get("occmask", "")
    return GalleryInfo(str(store.path), about.get("model", ""), kind, people, pictures, size, *made)
