"""Writes pictures into an LMDB, with the package `lmdb`: keys are names, values are encoded pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...images.reading import shown
from ..names import encoded, short
from ..record import Record
from ..writing import Writing, check_free, check_record
from .pages import is_lmdb

_BATCH_RECORDS, _BATCH_BYTES = 2000, 16 << 20  # of one transaction
_FIRST_MAP_SIZE = 64 << 20


class LmdbWriter(Writing):
    """Writes names as keys and pictures as values; the map grows as it is needed.

    Raises `DataError` for the package that is missing, and for a record whose name is longer than a key may be
    (511 bytes) or is taken.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool = False):
        self._lmdb = _import_lmdb()
        self.path = Path(path)
        check_free(self.path, resume=resume)
        self.path.mkdir(parents=True, exist_ok=True)
        data = self.path / "data.mdb"
        if data.exists() and not is_lmdb(data):
            raise DataError(f"{shown(data)}: not an LMDB; nothing to resume")
        self._map_size = max(_FIRST_MAP_SIZE, 2 * data.stat().st_size if data.exists() else 0)
        try:
            self._environment: Any = self._lmdb.open(str(self.path), map_size=self._map_size)
        except self._lmdb.Error as e:
            raise DataError(f"{shown(path)}: cannot be opened ({e})") from e
        self._longest = self._environment.max_key_size()
        self._transaction: Any = None
        self._batch: list[tuple[bytes, bytes]] = []  # what the transaction holds, for when the map is full
        self._batch_bytes = 0
        self.written = int(self._environment.stat()["entries"])

    def write(self, record: Record, person: str) -> None:
        check_record(record, person)
        key = encoded(record.name)
        if len(key) > self._longest:
            raise DataError(f"{short(record.name)}: {len(key)} bytes are longer than an LMDB key, {self._longest}")
        if self._transaction is None:
            self._transaction = self._environment.begin(write=True)
        try:
            if not self._transaction.put(key, record.image, overwrite=False):
                raise DataError(f"{short(record.name)}: a second record of that name")
        except self._lmdb.MapFullError:
            self._batch.append((key, record.image))
            self._write_again()
        except self._lmdb.Error as e:
            raise OSError(f"{self.path}: {e}") from e
        else:
            self._batch.append((key, record.image))
        self._batch_bytes += len(record.image)
        self.written += 1
        if len(self._batch) >= _BATCH_RECORDS or self._batch_bytes >= _BATCH_BYTES:
            self.checkpoint()

    def _write_again(self) -> None:
        """The transaction that filled the map, in a map large enough."""
        while True:
            if self._transaction is not None:
                self._transaction.abort()
            self._map_size *= 2
            self._environment.set_mapsize(self._map_size)
            self._transaction = self._environment.begin(write=True)
            try:
                for key, image in self._batch:
                    self._transaction.put(key, image)
                return
            except self._lmdb.MapFullError:
                continue

    def checkpoint(self) -> None:
        if self._transaction is None:
            return
        while self._transaction is not None:
            try:
                self._transaction.commit()
                self._transaction = None
            except self._lmdb.MapFullError:  # the list of free pages has to be written, too
                self._transaction = None
                self._write_again()
            except self._lmdb.Error as e:
                raise OSError(f"{self.path}: {e}") from e
        self._batch.clear()
        self._batch_bytes = 0

    def close(self) -> None:
        self.checkpoint()
        self._environment.close()

    def leave(self) -> None:
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None
        self._environment.close()


def _import_lmdb() -> Any:
    try:
        import lmdb
    except ImportError as e:
        raise DataError(
            "writing an LMDB needs the package lmdb: pip install 'occmask[lmdb]' (reading one does not)"
        ) from e
    return lmdb
