"""Pictures in tar shards, `person/picture.jpg` or WebDataset's `key.jpg` and `key.cls`, read at random."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ...errors import DataError
from ...images.reading import shown
from ...images.skipping import Skipped
from ..extension import EXTENSIONS
from ..extents import ExtentIndex, ExtentReader
from ..names import short
from ..random_access import RandomAccessFile
from ..reading import skip
from .members import COMPRESSED, Member, members

LAYOUT = "a .tar, or a folder of .tar files, with members person/picture.jpg, or key.jpg and key.cls"
UNFINISHED = ".unfinished"
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
        for number, shard in enumerate(shards):
            with RandomAccessFile(shard) as file:
                into = add(index, number, file, skipped)
                for member in members_of(file):
                    into.add(member)
                into.end()
        super().__init__(path, files=shards, index=index, skipped=skipped, expected=LAYOUT, by_number=webdataset)


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


def members_of(file: RandomAccessFile) -> Iterator[Member]:
    """The members of an archive; `DataError` when it is compressed."""
    beginning = file.read(0, 6)
    for magic, program in COMPRESSED.items():
        if beginning.startswith(magic):
            raise DataError(
                f"{shown(file.path)}: compressed, so that pictures cannot be read one by one; decompress it ({program})"
            )
    try:
        yield from members(file)
    except DataError as e:
        raise DataError(f"{shown(file.path)}: {e}") from None


def _is_webdataset(shard: Path) -> bool:
    with RandomAccessFile(shard) as file:
        return any(member.name.endswith(".cls") for member in islice(members_of(file), _LOOKED_AT))


class _Pictures:
    """Members named `person/picture`."""

    def __init__(self, index: ExtentIndex, number: int, shard: RandomAccessFile, skipped: list[Skipped]):
        self.index, self.number, self.shard, self.skipped = index, number, shard, skipped

    def add(self, member: Member) -> None:
        name = _plain(member.name)
        if member.reason is None and _is_hidden(name):
            return
        reason = member.reason or self._put(name, member)
        if reason is not None:
            self.skip(member.name, reason)

    def _put(self, name: str, member: Member) -> str | None:
        return self.index.put(name, file=self.number, offset=member.offset, size=member.size)

    def skip(self, name: str, reason: str) -> None:
        skip(self.skipped, f"{self.shard.path}: {short(name)}" if name else str(self.shard.path), reason)

    def end(self) -> None:
        """The shard has no more members."""


class _Samples(_Pictures):
    """Members that follow each other with one key: a picture, the number or name of a person, anything else."""

    def __init__(self, index: ExtentIndex, number: int, shard: RandomAccessFile, skipped: list[Skipped]):
        super().__init__(index, number, shard, skipped)
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
        elif f".{extension.lower()}".endswith(EXTENSIONS):
            if self._picture is not None:
                self.skip(member.name, "a second picture of one sample")
            else:
                self._picture = extension, member

    def _label(self, member: Member) -> str:
        text = self.shard.read(member.offset, min(member.size, _LONGEST_LABEL))
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
