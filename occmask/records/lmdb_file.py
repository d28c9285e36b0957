"""Pictures in an LMDB: keys are names, values are encoded pictures; read without liblmdb, written with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..images.reading import shown
from ..images.skipping import Skipped
from .extents import ExtentIndex, ExtentReader, open_file, skip
from .lmdb_pages import HEADER, MAGIC, read_meta, values
from .names import decoded, encoded, short, split_name
from .record import Record
from .writing import Writing, check_free, check_record

LAYOUT = "an LMDB folder (data.mdb) or file with keys person/picture.jpg and encoded pictures as values"
_OBJECTS = (b"__keys__", b"__len__")
_BATCH_RECORDS, _BATCH_BYTES = 2000, 16 << 20  # of one transaction
_FIRST_MAP_SIZE = 64 << 20


class LmdbReader(ExtentReader):
    """The records of an LMDB, sorted by person and picture.

    Opening reads the tree of keys; a picture is then read from its place in the file.  Neither needs the package
    `lmdb`, nor maps the file.  It must not be written meanwhile: readers do not lock it.  Keys that are no
    `person/picture`, damaged pages and what a truncated file lacks are in `.skipped`.  Raises `DataError` for an
    LMDB of Python objects (keys `__len__` and `__keys__`) and when there is no picture.
    """

    def __init__(self, path: str | os.PathLike[str]):
        data = data_file(Path(path))
        skipped: list[Skipped] = []
        descriptor = open_file(data)

        def damaged(page: int, reason: str) -> None:
            skip(skipped, f"{data}: page {page}", reason)

        try:
            index = _read_index(descriptor, data, damaged, skipped)
        except OSError as e:
            raise DataError(f"{shown(path)}: cannot be read ({e.strerror})") from e
        except DataError as e:
            raise DataError(f"{shown(path)}: {e}") from None
        finally:
            os.close(descriptor)
        super().__init__([data], index, skipped)
        if not len(self):
            why = f"; {short(skipped[0].source)}: {skipped[0].reason}" if skipped else ""
            raise DataError(f"{shown(path)}: no pictures{why}; expected {LAYOUT}")
        self._sort()


def data_file(path: Path) -> Path:
    """The file of an LMDB, which may be called by its folder."""
    return path / "data.mdb" if path.is_dir() else path


def is_lmdb(path: Path) -> bool:
    """Whether a file begins like an LMDB data file."""
    try:
        descriptor = open_file(path)
    except DataError:
        return False
    try:
        return os.pread(descriptor, 4, HEADER) == MAGIC
    finally:
        os.close(descriptor)


def _read_index(
    descriptor: int, data: Path, damaged: Callable[[int, str], None], skipped: list[Skipped]
) -> ExtentIndex:
    size = os.fstat(descriptor).st_size
    tree = read_meta(descriptor, size)
    index = ExtentIndex()
    found = 0
    for key, offset, length, reason in values(descriptor, size, tree, damaged):
        # Numbers come before "__keys__": look ahead, rather than note each of a million that is no name.
        if found == 0 and b"/" not in key:
            _refuse_objects(value.key for value in values(descriptor, size, tree, lambda *_: None))
        found += 1
        name = decoded(key)
        if reason is None:
            try:
                person, picture = split_name(name)
            except DataError as e:
                reason = str(e).removeprefix(f"{short(name)}: ")
            else:
                reason = index.put(person, picture, file=0, offset=offset, size=length)
        if reason is not None:
            skip(skipped, f"{data}: {short(name)}", reason)
    if not skipped and found != tree.entries:
        skip(skipped, str(data), f"{found} of {tree.entries} records found; the LMDB is damaged")
    return index


def _refuse_objects(keys: Iterable[bytes]) -> None:
    if any(key in _OBJECTS for key in keys):
        raise DataError(
            "an LMDB of Python objects, as folder2lmdb scripts make them with pyarrow.serialize (key 0: picture, "
            "label), which pyarrow reads no more since 12.0; write it once as a folder where an old one is "
            "installed (pip install 'pyarrow<12' 'numpy<2' lmdb): for key in deserialize(get(b'__keys__')): "
            "image, label = deserialize(get(key))[:2], then save image as label/key.jpg"
        )


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
