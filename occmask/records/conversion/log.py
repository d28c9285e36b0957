"""What a conversion left out, written down as it happens: the report of it, and what `resume` needs to know."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from ...errors import DataError
from ...images.reading import shown
from ...images.skipping import Skipped
from ..writing import replacing

_DECIDES = ("writer", "records", "names")  # what makes it another conversion; the source may have moved


class Refusal(NamedTuple):
    """A record that was not converted; `place` is its index in the source."""

    place: int
    source: str
    reason: str


class ConvertReport(NamedTuple):
    """`read` entries (pairs, when the target is a .bin) were found in the source: each was written or is in `skipped`.

    Of the pairs between records `pairs` were kept, beside the target; those that lost a picture are in `lost_pairs`.
    """

    read: int
    written: int
    skipped: tuple[Skipped, ...]
    pairs: int = 0
    lost_pairs: tuple[Skipped, ...] = ()


def log_of(target: str | os.PathLike[str]) -> Path:
    """Where the log of a conversion lies: `faces.tar.convert.jsonl` for `faces.tar`."""
    path = Path(target)
    return path.with_name(path.name + ".convert.jsonl")


class ConversionLog:
    """JSON lines: what is converted, each refused record before any later record is written, the counts at the end."""

    def __init__(self, path: Path, conversion: dict[str, Any]):
        self.path, self.conversion = path, conversion
        self.refused: list[Refusal] = []
        self.counts: dict[str, Any] | None = None  # of a finished conversion
        self._file: BinaryIO | None = None

    def begin(self, refused: Iterable[Refusal] = ()) -> None:
        """Start the file, with those refusals of an earlier attempt that are still true."""
        self.refused = list(refused)
        self.close()
        with replacing(self.path) as file:
            file.writelines([_line(self.conversion), *(_line(refusal._asdict()) for refusal in self.refused)])
        self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115  (closed by close)

    def read(self) -> bool:
        """The refusals of an earlier attempt; False when there was none, `DataError` when it was another conversion."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]  # a line without an end was being written
        except FileNotFoundError:
            return False
        try:
            entries = [json.loads(line) for line in lines]
            begun = entries[0] if entries else {}
            self.counts = next((entry for entry in entries[1:] if "read" in entry), None)
            self.refused = [Refusal(**entry) for entry in entries[1:] if "place" in entry]
        except (ValueError, TypeError, KeyError) as e:
            raise DataError(f"{shown(self.path)}: not the log of a conversion ({e})") from e
        changed = [key for key in _DECIDES if begun.get(key) != self.conversion[key]]
        if changed:
            key = changed[0]
            raise DataError(
                f"{shown(self.path)}: that conversion had {key} {begun.get(key)!r}, this one has "
                f"{self.conversion[key]!r}; resume it with the same source, or write to another target"
            )
        return True

    def refuse(self, place: int, source: str, reason: str) -> None:
        assert self._file is not None
        refusal = Refusal(place, source, reason)
        self.refused.append(refusal)
        self._file.write(_line(refusal._asdict()))

    def finish(self, counts: dict[str, Any], also_skipped: Iterable[Skipped]) -> None:
        """`also_skipped` never were records of the source."""
        assert self._file is not None
        self._file.write(b"".join(_line(skipped._asdict()) for skipped in also_skipped) + _line(counts))
        self.counts = counts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"
