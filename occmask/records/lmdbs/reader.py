"""Pictures in an LMDB, read without liblmdb: keys are names, values are encoded pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ...errors import DataError
from ...images.reading import shown
from ...images.skipping import Skipped
from ..extents import ExtentIndex, ExtentReader
from ..names import decoded, short
from ..random_access import RandomAccessFile
from ..reading import skip
from .pages import read_meta, values

LAYOUT = "an LMDB folder (data.mdb) or file with keys person/picture.jpg and encoded pictures as values"
_OBJECTS = (b"__keys__", b"__len__")


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

        def damaged(page: int, reason: str) -> None:
            skip(skipped, f"{data}: page {page}", reason)

        with RandomAccessFile(data) as file:
            try:
                index = _read_index(file, damaged, skipped)
            except DataError as e:
                raise DataError(f"{shown(path)}: {e}") from None
        super().__init__(path, files=[data], index=index, skipped=skipped, expected=LAYOUT)
        self._sort()


def data_file(path: Path) -> Path:
    """The file of an LMDB, which may be called by its folder."""
    return path / "data.mdb" if path.is_dir() else path


def _read_index(file: RandomAccessFile, damaged: Callable[[int, str], None], skipped: list[Skipped]) -> ExtentIndex:
    tree = read_meta(file)
    index = ExtentIndex()
    found = 0
    for key, offset, length, reason in values(file, tree, damaged):
        # Numbers come before "__keys__": look ahead, rather than note each of a million that is no name.
        if found == 0 and b"/" not in key:
            _refuse_objects(value.key for value in values(file, tree, lambda *_: None))
        found += 1
        name = decoded(key)
        if reason is None:
            reason = index.put(name, file=0, offset=offset, size=length)
        if reason is not None:
            skip(skipped, f"{file.path}: {short(name)}", reason)
    if not skipped and found != tree.entries:
        skip(skipped, str(file.path), f"{found} of {tree.entries} records found; the LMDB is damaged")
    return index


def _refuse_objects(keys: Iterable[bytes]) -> None:
    if any(key in _OBJECTS for key in keys):
        raise DataError(
            "an LMDB of Python objects, as folder2lmdb scripts make them with pyarrow.serialize (key 0: picture, "
            "label), which pyarrow reads no more since 12.0; write it once as a folder where an old one is "
            "installed (pip install 'pyarrow<12' 'numpy<2' lmdb): for key in deserialize(get(b'__keys__')): "
            "image, label = deserialize(get(key))[:2], then save image as label/key.jpg"
        )
