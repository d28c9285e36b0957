"""Writes pictures into a tar archive, or into shards of one, with names `person/picture`."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import BinaryIO

from ...errors import OptionError
from ..random_access import RandomAccessFile
from ..record import Record
from ..writing import Writing, check_free, check_record
from .members import BLOCK, END
from .reader import UNFINISHED, members_of

SHARD_BYTES = 1 << 30


class TarWriter(Writing):
    """Writes members `person/picture`: into one archive when `path` ends with `.tar`, or else into a folder of shards.

    A shard, `000000.tar` and so on, is finished when the next record would take it beyond `shard_bytes` or
    `shard_records`; until then `.unfinished` is added to its name.  A single archive that is not finished lacks its end
    mark.  The same records make the same bytes.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resume: bool = False,
        shard_bytes: int = SHARD_BYTES,
        shard_records: int | None = None,
    ):
        if shard_bytes <= 0 or (shard_records is not None and shard_records <= 0):
            raise OptionError("a shard holds at least one byte and one record: shard_bytes and shard_records are > 0")
        self.path = Path(path)
        self._single = self.path.suffix == ".tar"
        self._shard_bytes, self._shard_records = shard_bytes, shard_records
        self._shard = 0
        self._in_shard = 0  # records
        self._file: BinaryIO | None = None
        self.written = 0
        check_free(self.path, resume=resume)
        if not self._single:
            self.path.mkdir(parents=True, exist_ok=True)
        if resume:
            self._continue()

    def _finished(self) -> Path:
        return self.path if self._single else self.path / f"{self._shard:06d}.tar"

    def _unfinished(self) -> Path:
        finished = self._finished()
        return finished if self._single else finished.with_name(finished.name + UNFINISHED)

    def _continue(self) -> None:
        """Count what is there, and cut the unfinished shard after its last whole record."""
        while not self._single and self._finished().exists():
            self.written += _count_whole(self._finished())[0]
            self._shard += 1
        if self._unfinished().exists():
            self._in_shard, end = _count_whole(self._unfinished())
            self.written += self._in_shard
            os.truncate(self._unfinished(), end)
            self._file = open(self._unfinished(), "ab")  # noqa: SIM115  (closed by close and leave)

    def write(self, record: Record, person: str) -> None:
        person, picture = check_record(record, person)
        header = tarfile.TarInfo(f"{person}/{picture}")
        header.size = len(record.image)
        data = header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        padding = -len(record.image) % BLOCK
        if self._file is not None and not self._single and self._is_full(len(data) + len(record.image) + padding):
            self._finish()
        if self._file is None:
            self._file = open(self._unfinished(), "ab")  # noqa: SIM115  (closed by close and leave)
        self._file.write(data)
        self._file.write(record.image)
        self._file.write(bytes(padding))
        self._in_shard += 1
        self.written += 1

    def _is_full(self, more: int) -> bool:
        assert self._file is not None
        full = self._shard_records is not None and self._in_shard >= self._shard_records
        return full or (self._in_shard > 0 and self._file.tell() + more + 2 * BLOCK > self._shard_bytes)

    def _finish(self) -> None:
        assert self._file is not None
        self._file.write(2 * END)
        self.checkpoint()
        self._file.close()
        self._file = None
        os.replace(self._unfinished(), self._finished())
        self._shard += 1
        self._in_shard = 0

    def checkpoint(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Finish the last shard."""
        if self._file is not None:
            self._finish()

    def leave(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _count_whole(path: Path) -> tuple[int, int]:
    """How many members of our own archive are whole, and where the last of them ends."""
    count, end = 0, 0
    with RandomAccessFile(path) as file:
        for member in members_of(file):
            if member.reason is None and member.end <= file.size:
                count, end = count + 1, member.end
    return count, end
