"""What every container of pictures holds, and what its reader and its writer can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..images.skipping import Skipped

MAX_IMAGE_BYTES = 1 << 28  # of one encoded picture; a header of a few bytes can claim anything


class Record(NamedTuple):
    """One picture of one person, as it is stored: nothing is decoded."""

    name: str  # "person/picture.jpg", different for every record of a container
    label: int  # of the person: `reader.people[label]`
    image: bytes  # the encoded picture


class RecordReader(Protocol):
    """A container of N records: map-style, and usable in several processes, forked or spawned, after opening.

    Opening reads what it needs to know the records' number, order and labels, no picture.  Raises `DataError` for
    what is no such container.
    """

    @property
    def people(self) -> Sequence[str]:
        """Names by label."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) indices of `people`."""
        ...

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What was found in the container and is no record, with reasons."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """The name of a record, without reading its picture."""
        ...

    def __getitem__(self, index: int) -> Record:
        """One record; `DataError` naming it when it is damaged, `IndexError` outside 0 .. N-1."""
        ...


class RecordWriter(Protocol):
    """Writes a container record by record; a context manager, made by `Writer(path, *, resume=False)`.

    What was written before a crash survives it and is continued by `resume`.  Making one raises `DataError` when the
    target exists and is not to be continued.
    """

    @property
    def written(self) -> int:
        """How many records were accepted; after `resume`, those found whole: the first so many that ever were."""
        ...

    def write(self, record: Record, person: str) -> None:
        """Append one record; `DataError` when the format cannot hold it (the container stays as it was)."""
        ...

    def checkpoint(self) -> None:
        """Everything written so far survives the process, however it ends."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_index(index: int, count: int) -> None:
    """`IndexError` when there is no record of that index; counting from the end is not what readers offer."""
    if not 0 <= index < count:
        raise IndexError(f"record {index} is not in 0..{count - 1}")


def every_record(reader: RecordReader) -> Iterator[Record]:
    """All records in the container's order."""
    return (reader[index] for index in range(len(reader)))
