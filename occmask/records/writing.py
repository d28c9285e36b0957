"""What the writers of all containers share: what they refuse, and how they are left."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from ..errors import DataError
from ..images.reading import shown
from .names import short, split_name
from .record import MAX_IMAGE_BYTES, Record


def check_record(record: Record, person: str) -> tuple[str, str]:
    """(person, picture) of a record that every container can hold; `DataError` otherwise."""
    owner, picture = split_name(record.name)
    if owner != person:
        raise DataError(f"{short(record.name)}: named after {short(owner)}, but a record of {short(person)}")
    if not record.image:
        raise DataError(f"{short(record.name)}: empty")
    if len(record.image) > MAX_IMAGE_BYTES:
        raise DataError(f"{short(record.name)}: {len(record.image)} bytes are more than the {MAX_IMAGE_BYTES} allowed")
    return owner, picture


def is_taken(path: Path) -> bool:
    """Whether something is there that a new container would overwrite; an empty folder may be."""
    return os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir()))


def check_free(path: Path, *, resume: bool) -> None:
    """`DataError` when there is something at `path` that is not to be continued."""
    if not resume and is_taken(path):
        raise DataError(f"{shown(path)} exists already; choose another target, remove it, or continue it with resume")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to be written that has its name when it is complete; what had the name is replaced then."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


class Writing(ABC):
    """A writer as a context manager: closed at the end, left unfinished, but not lost, after an error."""

    @abstractmethod
    def close(self) -> None:
        """Finish the container."""

    @abstractmethod
    def leave(self) -> None:
        """Let go of the files without finishing the container, which `resume` then continues."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.leave()
