"""The formats that records are kept in, and which of them a file or a folder is in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError, OptionError, did_you_mean
from ..images.reading import shown
from .folder import LAYOUT
from .lmdbs.pages import is_lmdb
from .pickled.source import is_pickle
from .record import RecordReader, RecordWriter


class Format(NamedTuple):
    """What a container looks like, and by what it is read and written ("module:class", loaded when needed)."""

    looks: str
    recognises: Callable[[Path], bool]
    reader: str
    writer: str | None  # of records
    suffix: str | None  # of a target's name, which asks for this format
    pairs_writer: str | None = None  # of a container of pairs: called (path, images, same)


def _suffix(path: Path, *suffixes: str) -> bool:
    return path.name.lower().endswith(suffixes)


def is_bin(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a pickle of pairs, by its name or by its beginning."""
    return _suffix(Path(path), ".bin") or is_pickle(path)


def _holds(path: Path, *suffixes: str) -> bool:
    """Whether a folder has such a file."""
    try:
        return path.is_dir() and any(name.endswith(suffixes) and name[0] != "." for name in os.listdir(path))
    except OSError as e:
        raise DataError(f"{shown(path)}: the folder cannot be listed ({e.strerror})") from e


_UNFINISHED_TAR = ".tar.unfinished"
_PACKED = (".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4")  # whose reader says what to do about it


def _is_tar(path: Path) -> bool:
    return _holds(path, ".tar", _UNFINISHED_TAR) or (
        path.is_file() and _suffix(path, ".tar", _UNFINISHED_TAR, *_PACKED)
    )


# Looked at in this order: a folder of people is what is none of the others.
FORMATS: dict[str, Format] = {
    "rec": Format(
        "a folder with train.rec and train.idx, or a .rec",
        lambda path: _holds(path, ".rec") or _suffix(path, ".rec", ".idx"),
        "occmask.records.recordio.reader:RecReader",
        "occmask.records.recordio.writer:RecWriter",
        ".rec",
    ),
    "lmdb": Format(
        "a folder with data.mdb, or an LMDB file",
        lambda path: (path / "data.mdb").exists() or _suffix(path, ".mdb") or (path.is_file() and is_lmdb(path)),
        "occmask.records.lmdbs.reader:LmdbReader",
        "occmask.records.lmdbs.writer:LmdbWriter",
        ".lmdb",
    ),
    "tar": Format(
        "a .tar or a folder of .tar shards, members person/picture.jpg or WebDataset's key.jpg and key.cls",
        _is_tar,
        "occmask.records.tarred.reader:TarReader",
        "occmask.records.tarred.writer:TarWriter",
        ".tar",
    ),
    "bin": Format(
        "InsightFace's .bin of pairs",
        is_bin,
        "occmask.records.pickled.reader:BinReader",
        None,
        ".bin",
        "occmask.records.pickled.writer:write_bin",
    ),
    "list": Format(
        "a .lst, .txt or .csv with a line for each picture",
        lambda path: path.is_file() and _suffix(path, ".lst", ".txt", ".csv"),
        "occmask.records.list_file:ListReader",
        None,
        None,
    ),
    "folder": Format(
        LAYOUT,
        Path.is_dir,
        "occmask.records.folder:FolderReader",
        "occmask.records.folder:FolderWriter",
        None,
    ),
}

WRITABLE = [name for name, known in FORMATS.items() if known.writer or known.pairs_writer]


def format_of(path: str | os.PathLike[str]) -> str:
    """The name of the format that a file or a folder is in; `DataError` listing those that would have worked."""
    where = Path(path)
    try:
        if not where.exists():
            raise DataError(f"{shown(where)}: no such file or folder; {_known()}")
        for name, known in FORMATS.items():
            if known.recognises(where):
                _check_one_thing(where, name)
                return name
    except (OSError, ValueError) as e:
        if isinstance(e, DataError):
            raise
        raise DataError(f"{shown(where)}: cannot be read ({e})") from e
    raise DataError(f"{shown(where)}: in no format that is read; {_known()}")


def _check_one_thing(where: Path, name: str) -> None:
    """`DataError` for a folder that holds a container and folders beside it: reading one would leave out the other."""
    if name == "folder" or not where.is_dir():
        return
    folders = sorted(entry.name for entry in where.iterdir() if entry.is_dir() and entry.name[0] != ".")
    if folders:
        more = f" and {len(folders) - 1} other folders" if len(folders) > 1 else ""
        raise DataError(
            f"{shown(where)}: holds {FORMATS[name].looks}, and beside it the folder {shown(folders[0])}{more}; "
            "name the container's own file, or move one of them away"
        )


def _known() -> str:
    return "what is read: " + "; ".join(f"{known.looks} ({name})" for name, known in FORMATS.items())


def open_records(path: str | os.PathLike[str]) -> RecordReader:
    """A reader of whatever container is at `path`; `DataError` when there is none, or when it cannot be read."""
    reader: RecordReader = _load(FORMATS[format_of(path)].reader)(path)
    return reader


def target_format(path: str | os.PathLike[str], format: str | None = None) -> str:
    """The format to write at `path`: `format`, or what its name ends with; a folder of people otherwise.

    Raises `OptionError` for a format that is not known or cannot be written.
    """
    if format is not None:
        if format not in WRITABLE:
            hint = did_you_mean(format, WRITABLE)
            raise OptionError(f"no format {format!r} can be written.{hint} Known: {', '.join(WRITABLE)}")
        return format
    where = Path(path)
    for name in WRITABLE:
        suffix = FORMATS[name].suffix
        if suffix is not None and where.name.lower().endswith(suffix):
            return name
    if _suffix(where, ".lst", ".txt", ".csv", ".gz", ".tgz", ".zip", ".idx", ".mdb"):
        endings = ", ".join(f"{known.suffix}" for known in FORMATS.values() if known.suffix)
        raise OptionError(f"{shown(where)}: not written; a target ends with {endings}, or is a folder of people")
    return "folder"


def writer_for(path: str | os.PathLike[str], format: str | None = None) -> Callable[..., RecordWriter]:
    """What writes records at `path`, called `(path, resume=...)`.

    Raises `OptionError` as `target_format`, and for a format of pairs.
    """
    name = target_format(path, format)
    writer = FORMATS[name].writer
    if writer is None:
        raise OptionError(f"{shown(path)}: holds pairs, not single records; occmask convert makes it of both")
    made: Callable[..., RecordWriter] = _load(writer)
    return made


def pairs_writer_for(format: str) -> Callable[[Path, Iterable[bytes], Iterable[bool]], int] | None:
    """What writes a container of pairs, or None when the format holds single records.

    It is called (path, 2P encoded pictures, P truth values), and takes all of the pictures before the first value.
    """
    writer = FORMATS[format].pairs_writer
    made: Callable[[Path, Iterable[bytes], Iterable[bool]], int] | None = None if writer is None else _load(writer)
    return made


def _load(reference: str) -> Any:
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)
