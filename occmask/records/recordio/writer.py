"""Writes what InsightFace reads: `train.rec`, `train.idx`, `property`; and `train.lst`, which keeps the names."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import DataError
from ...images.reading import decode_picture, shown
from ..names import encoded
from ..random_access import RandomAccessFile
from ..record import Record
from ..writing import Writing, check_record, replacing
from .files import RecFiles
from .framing import frame, read_record
from .progress import EXACT, Ends, People, read_back
from .reader import HEADER

_PIECE = 1 << 22  # bytes of pictures that a killed process may lose when nobody asked for a checkpoint


class RecWriter(Writing):
    """Writes records to `path`, a folder (then `train.rec` in it) or a `.rec`, in InsightFace's layout.

    Pictures have the keys 1, 2, ... in the order of writing.  `close` adds record 0 and one record for each person with
    that person's range of keys; when the records of a person did not come in one piece there are no such ranges, record
    0 says so, and readers take the people from the pictures' headers, as InsightFace's own training does.  `property`
    has the size of the first picture, and is left out when that cannot be decoded.

    With `resume`, what an earlier writer left is continued after its last whole record, and `written` says how many
    there are; without, a target that exists is a `DataError`.  `checkpoint` makes what was written so far survive.
    Leaving the `with` block by an exception leaves the files to be resumed.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool = False):
        where = Path(path)
        rec = where if where.suffix == ".rec" else where / "train.rec"
        self.files = RecFiles.beside(rec)
        self.written = 0
        self._people = People()
        existing = [file for file in self.files if file.exists()]
        if existing and not resume:
            raise DataError(f"{shown(existing[0])} exists; remove it, write elsewhere, or resume (resume=True)")
        ends = Ends(0, 0, 0)
        if any(file.stat().st_size for file in existing):
            self.written, ends = read_back(self.files, self._people)
        try:
            rec.parent.mkdir(parents=True, exist_ok=True)
            # The names first: a .rec without a .lst is somebody else's, and is not continued.
            self._lst = _opened(self.files.lst, ends.lst)
            self._idx = _opened(self.files.idx, ends.idx)
            self._rec = _opened(self.files.rec, ends.rec)
        except OSError as e:
            raise DataError(f"{shown(where)}: cannot be written ({e.strerror})") from e
        self._offset = self._flushed = ends.rec
        self._failure: OSError | None = None

    def write(self, record: Record, person: str) -> None:
        """Append a record; its label is stored as it is.

        Raises `DataError`, and leaves the files as they were, when `check_record` refuses it, the label is another
        person's or not in 0 .. 2^24 - 1, the picture has more than 128 MiB, or the layout is full: its float32 counts
        pictures and people up to 2^24.  Raises `OSError` when the disk does not take it; the writer is of no use then,
        and the files are to be resumed.
        """
        name, label, image = record
        key = self.written + 1
        check_record(record, person)
        try:
            if not 0 <= label < EXACT:
                raise DataError(f"label {label} is not in 0..{EXACT - 1}, the integers that float32 knows")
            if key + self._people.count + 2 > EXACT:
                raise DataError(f"InsightFace's layout holds {EXACT} pictures and people; write several, or a tar")
            self._people.check(label, person)
            framed = frame(HEADER.pack(0, label, key, 0) + image)
        except DataError as e:
            raise DataError(f"{shown(name)}: {e}") from None
        with self._writing():
            self._append(framed, key)
            self._lst.write(b"%d\t%d\t%s\n" % (key, label, encoded(name)))
            self._people.add(key, label, person)
            self.written = key
            if self._offset - self._flushed >= _PIECE:
                self._flush()

    def checkpoint(self) -> None:
        """Make everything written so far survive a crash of the machine."""
        with self._writing():
            self._flush()
            for file in (self._rec, self._idx, self._lst):
                os.fsync(file.fileno())
            folder = os.open(self.files.rec.parent, os.O_RDONLY)  # which has the files' names
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Add who is where, and the size of the pictures; the files are complete then."""
        if self._rec.closed:
            return
        try:
            with self._writing():
                self._append_people()
            self.checkpoint()
            self._write_property()
        finally:
            self.leave()

    def _append(self, framed: bytes, key: int) -> None:
        self._rec.write(framed)
        self._idx.write(b"%d\t%d\n" % (key, self._offset))
        self._offset += len(framed)

    def _append_people(self) -> None:
        end = self.written + 1
        starts = self._people.starts or array("q")
        self._append_range(0, end, end + len(starts))
        for key, (first, following) in enumerate(pairwise([*starts, end]), end):
            self._append_range(key, first, following)

    def _append_range(self, key: int, first: int, end: int) -> None:
        self._append(frame(HEADER.pack(2, 0, key, 0) + np.array([first, end], "<f4").tobytes()), key)

    def _flush(self) -> None:
        for file in (self._rec, self._idx, self._lst):  # an index of what is there, not of what may be
            file.flush()
        self._flushed = self._offset

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What could not be written once is not tried again: index and names might no longer fit the records."""
        if self._failure is not None:
            raise self._failure
        if self._rec.closed:
            raise DataError(f"{shown(self.files.rec)}: the writer is closed")
        try:
            yield
        except OSError as e:
            self._failure = e
            raise

    def _write_property(self) -> None:
        try:
            first = read_record(RandomAccessFile(self.files.rec), 0)[HEADER.size :]
            picture = decode_picture(first, "the first record")
        except DataError:  # nothing is known about the size, and nothing is invented
            return
        with self._writing(), replacing(self.files.property) as file:
            file.write(b"%d,%d,%d\n" % (self._people.num_classes, picture.height, picture.width))

    def leave(self) -> None:
        for file in (self._rec, self._idx, self._lst):
            with suppress(OSError):  # told before, or found by whoever resumes
                file.close()


def _opened(path: Path, size: int) -> BinaryIO:
    """The file, cut to `size` and ready to be continued there."""
    file = open(path, "ab", buffering=_PIECE)  # noqa: SIM115 - the writer closes it
    try:
        file.truncate(size)
    except OSError:
        file.close()
        raise
    return file
