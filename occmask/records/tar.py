"""Pictures in tar shards, `person/picture.jpg` or WebDataset's `key.jpg` and `key.cls`, read at random and written."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError, OptionError
from ..images.reading import shown
from ..images.skipping import Skipped
from .extents import ExtentIndex, ExtentReader, open_file, skip
from .names import short, split_name
from .record import Record
from .tar_members import BLOCK, COMPRESSED, END, Member, members
from .writing import Writing, check_free, check_record

LAYOUT = "a .tar, or a folder of .tar files, with members person/picture.jpg, or key.jpg and key.cls"
SHARD_BYTES = 1 << 30
UNFINISHED = ".unfinished"
_PICTURES = frozenset(["bmp", "gif", "jp2", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp"])
_LONGEST_LABEL = 256  # bytes of a .cls
_LOOKED_AT = 100  # members by which the layout is known


class TarReader(ExtentReader):
    """The regular files of one `.tar` or of a folder's `*.tar`, in the order they have there; people sorted by name.

    WebDataset's layout is known by a `.cls` among the first members: a sample's label names the person, its key the
    picture, and whatever else it holds is not read.  Otherwise members are `person/picture`; names that begin with a
    dot are ignored.  Opening reads the headers only.  Links, devices, names that could lead elsewhere, damaged and
    truncated shards are in `.skipped`.  Raises `DataError` for a compressed archive and when there is no picture.
    """

    def __init__(self, path: str | os.PathLike[str]):
        shards = tar_files(Path(path))
        index, skipped = ExtentIndex(), list[Skipped]()
        for name in unfinished_shards(Path(path)):
            skip(skipped, name, "a shard that is not finished; continue writing it with resume")
        webdataset = _is_webdataset(shards[0])
        add = _Samples if webdataset else _Pictures
        for file, shard in enumerate(shards):
            into = add(index, file, shard, skipped)
            for member in _members_of(shard):
                into.add(member)
            into.end()
        super().__init__(shards, index, skipped, by_number=webdataset)
        if not len(self):
            why = f"; {short(skipped[0].source)}: {skipped[0].reason}" if skipped else ""
            raise DataError(f"{shown(path)}: no pictures{why}; expected {LAYOUT}")


def tar_files(path: Path) -> list[Path]:
    """The archives at `path`, sorted by name; `DataError` when there is none."""
    if not path.is_dir():
        return [path]
    try:
        found = sorted(entry for entry in path.iterdir() if entry.suffix == ".tar" and not entry.name.startswith("."))
    except OSError as e:
        raise DataError(f"{shown(path)}: the folder cannot be listed ({e.strerror})") from e
    if not found:
        raise DataError(f"{shown(path)}: no .tar files; expected {LAYOUT}")
    return found


def unfinished_shards(path: Path) -> list[str]:
    return [str(entry) for entry in sorted(path.glob("*.tar" + UNFINISHED))] if path.is_dir() else []


def _members_of(path: Path) -> Iterator[Member]:
    descriptor = open_file(path)
    try:
        beginning = os.pread(descriptor, 6, 0)
        for magic, program in COMPRESSED.items():
            if beginning.startswith(magic):
                raise DataError(
                    f"{shown(path)}: compressed, so that pictures cannot be read one by one; decompress it ({program})"
                )
        yield from members(descriptor, os.fstat(descriptor).st_size)
    except OSError as e:
        raise DataError(f"{shown(path)}: cannot be read ({e.strerror})") from e
    finally:
        os.close(descriptor)


def _is_webdataset(shard: Path) -> bool:
    first = (member for _, member in zip(range(_LOOKED_AT), _members_of(shard), strict=False))
    return any(member.name.endswith(".cls") for member in first)


class _Pictures:
    """Members named `person/picture`."""

    def __init__(self, index: ExtentIndex, file: int, shard: Path, skipped: list[Skipped]):
        self.index, self.file, self.shard, self.skipped = index, file, shard, skipped

    def add(self, member: Member) -> None:
        name = _plain(member.name)
        if member.reason is None and _is_hidden(name):
            return
        reason = member.reason or self._put(name, member)
        if reason is not None:
            self.skip(member.name, reason)

    def _put(self, name: str, member: Member) -> str | None:
        try:
            person, picture = split_name(name)
        except DataError as e:
            return str(e).removeprefix(f"{short(name)}: ")
        return self.index.put(person, picture, file=self.file, offset=member.offset, size=member.size)

    def skip(self, name: str, reason: str) -> None:
        skip(self.skipped, f"{self.shard}: {short(name)}" if name else str(self.shard), reason)

    def end(self) -> None:
        """The shard has no more members."""


class _Samples(_Pictures):
    """Members that follow each other with one key: a picture, the number or name of a person, anything else."""

    def __init__(self, index: ExtentIndex, file: int, shard: Path, skipped: list[Skipped]):
        super().__init__(index, file, shard, skipped)
        self._key: str | None = None
        self._person: str | None = None
        self._picture: tuple[str, Member] | None = None

    def add(self, member: Member) -> None:
        if member.reason is not None:
            self.skip(member.name, member.reason)
            return
        name = _plain(member.name)
        if _is_hidden(name):
            return
        folder, slash, file = name.rpartition("/")
        stem, _, extension = file.partition(".")
        key = folder + slash + stem
        if key != self._key:
            self.end()
            self._key = key
        if extension.lower() == "cls":
            self._person = self._label(member)
        elif extension.lower().rpartition(".")[2] in _PICTURES:
            if self._picture is not None:
                self.skip(member.name, "a second picture of one sample")
            else:
                self._picture = extension, member

    def _label(self, member: Member) -> str:
        descriptor = open_file(self.shard)
        try:
            text = os.pread(descriptor, min(member.size, _LONGEST_LABEL), member.offset)
        finally:
            os.close(descriptor)
        return text.decode("utf-8", "replace").strip()

    def end(self) -> None:
        key, person, picture = self._key, self._person, self._picture
        self._key = self._person = self._picture = None
        if key is None:
            return
        if person is None or picture is None:
            self.skip(key, "a sample without a .cls" if person is None else "a sample without a picture")
            return
        extension, member = picture
        called = f"{key.replace('/', '_')}.{extension}"
        reason = self._put(f"{person}/{called}", member)
        if reason is not None:
            self.skip(member.name, f"{reason} ({short(person)}/{short(called)})")


def _plain(name: str) -> str:
    while name.startswith("./"):
        name = name[2:]
    return name


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part.strip(".") for part in name.split("/"))


class TarWriter(Writing):
    """Writes members `person/picture`: into one archive when `path` ends with `.tar`, or else into a folder of shards.

    A shard, `000000.tar` and so on, is finished when the next record would take it beyond `shard_bytes` or
    `shard_records`; until then `.unfinished` is added to its name.  The same records make the same bytes.
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
        check_free(self._unfinished(), resume=resume)
        if not self._single:
            self.path.mkdir(parents=True, exist_ok=True)
        if resume:
            self._continue()

    def _finished(self) -> Path:
        return self.path if self._single else self.path / f"{self._shard:06d}.tar"

    def _unfinished(self) -> Path:
        finished = self._finished()
        return finished.with_name(finished.name + UNFINISHED)

    def _continue(self) -> None:
        """Count what is there, and cut the unfinished shard after its last whole record."""
        while not self._single and self._finished().exists():
            self.written += _count_whole(self._finished())[0]
            self._shard += 1
        if self._single and self.path.exists():
            os.replace(self.path, self._unfinished())
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
    size = path.stat().st_size
    for member in _members_of(path):
        if member.reason is None and member.end <= size:
            count, end = count + 1, member.end
    return count, end
