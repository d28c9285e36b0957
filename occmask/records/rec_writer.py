"""Writes what InsightFace reads: `train.rec`, `train.idx`, `property`; and `train.lst`, which keeps the names."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from ..errors import DataError
from ..images.reading import decode_picture, shown
from .random_access import RandomAccessFile
from .rec import HEADER
from .rec_files import LINE, RecFiles, parse_line
from .record import Record
from .recordio import frame, read_record, record_end

EXACT = 1 << 24  # labels and keys are float32, which knows every integer up to here
_PIECE = 1 << 22  # bytes of pictures that a killed process may lose when nobody asked for a checkpoint


class _People:
    """Who is who so far, and where each one's records begin: a few bytes a person."""

    def __init__(self) -> None:
        self._hashes = np.zeros(1024, np.int64)  # of the names, by label; 0 where there is none
        self._last = -1
        self.starts: array[int] | None = array("q")  # keys; None once a person's records are not in one piece
        self.count = 0

    @property
    def num_classes(self) -> int:
        used = np.flatnonzero(self._hashes)
        return int(used[-1]) + 1 if len(used) else 0

    def check(self, label: int, person: str) -> None:
        if label < len(self._hashes) and self._hashes[label] not in (0, hash(person) or 1):
            raise DataError(f"label {label} is another person's, not {person!r}'s")

    def add(self, key: int, label: int, person: str) -> None:
        if label == self._last:
            return
        self._last = label
        if label >= len(self._hashes):
            longer = np.zeros(min(2 * label + 1, EXACT), np.int64)
            longer[: len(self._hashes)] = self._hashes
            self._hashes = longer
        if self._hashes[label]:
            self.starts = None
        else:
            self._hashes[label] = hash(person) or 1
            self.count += 1
        if self.starts is not None:
            self.starts.append(key)


class RecWriter:
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
        self._people = _People()
        existing = [file for file in self.files if file.exists()]
        if existing and not resume:
            raise DataError(f"{shown(existing[0])} exists; remove it, write elsewhere, or resume (resume=True)")
        begun = any(file.stat().st_size for file in existing)
        ends = self._read_back() if begun else _Ends(0, 0, 0)
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

        Raises `DataError`, and leaves the files as they were, when the name is not `person/picture` or would break a
        line, the label is another person's or not in 0 .. 2^24 - 1, there is no picture or one of more than 128 MiB,
        or the layout is full: its float32 counts pictures and people up to 2^24.  Raises `OSError` when the disk does
        not take it; the writer is of no use then, and the files are to be resumed.
        """
        name, label, image = record
        key = self.written + 1
        try:
            if not 0 <= label < EXACT:
                raise DataError(f"label {label} is not in 0..{EXACT - 1}, the integers that float32 knows")
            line = b"%d\t%d\t%s\n" % (key, label, os.fsencode(name))
            named = parse_line(line) if len(line) < LINE else None
            if named is None or named.person != os.fsencode(person):
                raise DataError(f"a .lst has no room for this name; it has for 'person/picture' of person {person!r}")
            if key + self._people.count + 2 > EXACT:
                raise DataError(f"InsightFace's layout holds {EXACT} pictures and people; write several, or a tar")
            if not image:
                raise DataError("no picture, but 0 bytes")
            self._people.check(label, person)
            framed = frame(HEADER.pack(0, label, key, 0) + image)
        except (DataError, UnicodeEncodeError) as e:
            raise DataError(f"{shown(name)}: {e}") from None
        with self._writing():
            self._append(framed, key)
            self._lst.write(line)
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
            self._leave()

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
        partial = self.files.property.with_name(".property.partial")
        with self._writing():
            partial.write_text(f"{self._people.num_classes},{picture.height},{picture.width}\n")
            os.replace(partial, self.files.property)

    def _leave(self) -> None:
        for file in (self._rec, self._idx, self._lst):
            with suppress(OSError):  # told before, or found by whoever resumes
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._leave()

    def _read_back(self) -> _Ends:
        """Count the whole records that index and names agree about, remember their people, and say where they end."""
        if missing := [file for file in self.files[:3] if not file.exists()]:
            raise DataError(
                f"{shown(self.files.rec)}: no {missing[0].name}, so it was not begun by this writer; left as it is"
            )
        rec, rec_end = RandomAccessFile(self.files.rec), 0
        offsets, any_lines = _offsets(self.files)
        while offsets:
            try:
                rec_end = record_end(rec, offsets[-1])
                break
            except DataError:  # the index was ahead of the records when the writer was stopped
                offsets.pop()
        if not offsets and any_lines:
            raise DataError(
                f"{shown(self.files.rec)}: not begun by this writer, whose .idx and .lst both name the keys 1, 2, ...; "
                "it is left as it is"
            )
        idx_end = lst_end = 0
        with open(self.files.idx, "rb") as idx, open(self.files.lst, "rb") as lst:
            for key, (indexed, named) in enumerate(islice(zip(idx, lst, strict=False), len(offsets)), 1):
                line = parse_line(named)
                if line is None:
                    raise DataError(f"{shown(self.files.lst)}: line {key} is damaged")
                self._people.add(key, int(line.label), os.fsdecode(line.person))
                idx_end, lst_end = idx_end + len(indexed), lst_end + len(named)
        self.written = len(offsets)
        return _Ends(rec_end, idx_end, lst_end)


class _Ends(NamedTuple):
    """How many bytes of each file are kept."""

    rec: int
    idx: int
    lst: int


def _offsets(files: RecFiles) -> tuple[array[int], bool]:
    """Where the records 1, 2, ... begin as long as index and names agree, and whether anything else is listed."""
    offsets = array("q")
    with open(files.idx, "rb") as idx, open(files.lst, "rb") as lst:
        for key, (indexed, named) in enumerate(zip(idx, lst, strict=False), 1):
            line = parse_line(named)
            words = indexed.split()
            whole = indexed.endswith(b"\n") and named.endswith(b"\n")
            if not whole or line is None or len(words) != 2 or not all(word.isdigit() for word in words):
                return offsets, whole
            if not int(words[0]) == line.key == key or not line.label.isdigit() or int(line.label) >= EXACT:
                return offsets, True
            if len(offsets) and int(words[1]) <= offsets[-1]:
                return offsets, True
            offsets.append(int(words[1]))
    return offsets, len(offsets) > 0


def _opened(path: Path, size: int) -> BinaryIO:
    """The file, cut to `size` and ready to be continued there."""
    file = open(path, "ab", buffering=_PIECE)  # noqa: SIM115 - the writer closes it
    try:
        file.truncate(size)
    except OSError:
        file.close()
        raise
    return file
