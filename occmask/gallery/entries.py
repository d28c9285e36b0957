"""What a gallery says of its people and pictures, and what it is given to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, kw_only=True)
class PictureSource:
    """Where a template comes from: the picture's name, the SHA-256 of its file, and any JSON object besides."""

    name: str = ""
    sha256: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class Person(NamedTuple):
    """Somebody in a gallery."""

    name: str
    pictures: int
    note: dict[str, Any]


class EnrolledPicture(NamedTuple):
    """One picture of a person in a gallery."""

    id: int
    name: str
    sha256: str
    enrolled: str  # UTC, ISO 8601
    details: dict[str, Any]


class Face(NamedTuple):
    """One face to keep, as bytes."""

    unit: bytes
    record: bytes
    source: PictureSource
    enrolled: str = ""  # now, if empty


class StoredFace(NamedTuple):
    """One face that was kept, with its checksum held against its bytes."""

    id: int
    person: str
    record: bytes


class KeptPicture(NamedTuple):
    """One picture with its person, as texts and bytes; `number` None: a person without any."""

    person: str
    note: str
    number: int | None
    name: str
    sha256: str
    enrolled: str
    details: str
    unit: bytes
    record: bytes
    whole: bool  # whether every checksum fits
