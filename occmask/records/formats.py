"""The formats that records are kept in, and which of them a file or a folder is in."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError, OptionError, did_you_mean
from ..images.reading import shown
from .lmdb_file import is_lmdb
from .record import RecordReader, RecordWriter


class Format(NamedTuple):
    """What a container looks like, and by what it is read and written ("module:class", loaded when needed)."""

    looks: str
    recognises: Callable[[Path], bool]
    reader: str
    writer: str | None  # None: it cannot be written
    suffix: str | None  # of a target's name, which asks for this format
    in_pairs: bool = False  # it holds pairs, not single pictures


def _suffix(path: Path, *suffixes: str) -> bool:
    return path.name.lower().endswith(suffixes)


def _holds(path: Path, *suffixes: str) -> bool:
    """Whether a folder has such a file."""
    try:
        return path.is_dir() and any(name.endswith(suffixes) and name[0] != "." for name in os.listdir(path))
    except OSError as e:
        raise DataError(f"{shown(path)}: the folder cannot be listed ({e.strerror})") from e


def _is_tar(path: Path) -> bool:
    return _holds(path, ".tar", ".tar.unfinished") or (
        path.is_file() and (_suffix(path, ".tar", ".tgz") or ".tar." in path.name.lower())
    )


# Looked at in this order: a folder of people is what is none of the others.
FORMATS: dict[str, Format] = {
    "rec": Format(
        "a folder with train.rec and train.idx, or a .rec",
        lambda path: _holds(path, ".rec") or _suffix(path, ".rec", ".idx"),
        "occmask.records.rec:RecReader",
        "occmask.records.rec_writer:RecWriter",
        ".rec",
    ),
    "lmdb": Format(
        "a folder with data.mdb, or an LMDB file",
        lambda path: (path / "data.mdb").exists() or _suffix(path, ".mdb") or (path.is_file() and is_lmdb(path)),
        "occmask.records.lmdb_file:LmdbReader",
        "occmask.records.lmdb_file:LmdbWriter",
        ".lmdb",
    ),
    "tar": Format(
        "a .tar or a folder of .tar shards, members person/picture.jpg or WebDataset's key.jpg and key.cls",
        _is_tar,
        "occmask.records.tar:TarReader",
        "occmask.records.tar:TarWriter",
        ".tar",
    ),
    "bin": Format(
        "InsightFace's .bin of pairs",
        lambda path: _suffix(path, ".bin"),
        "occmask.records.bin:BinReader",
        "occmask.records.bin:BinWriter",
        ".bin",
        in_pairs=True,
    ),
    "list": Format(
        "a .lst, .txt or .csv with a line for each picture",
        lambda path: path.is_file() and _suffix(path, ".lst", ".txt", ".csv"),
        "occmask.records.list_file:ListReader",
        None,
        None,
    ),
    "folder": Format(
        "one folder a person, with that person's pictures in it",
        Path.is_dir,
        "occmask.records.folder:FolderReader",
        "occmask.records.folder:FolderWriter",
        None,
    ),
}


def format_of(path: str | os.PathLike[str]) -> str:
    """The name of the format that a file or a folder is in; `DataError` listing those that would have worked."""
    where = Path(path)
    try:
        if not where.exists():
            raise DataError(f"{shown(where)}: no such file or folder; {_known()}")
        for name, known in FORMATS.items():
            if known.recognises(where):
                return name
    except (OSError, ValueError) as e:
        if isinstance(e, DataError):
            raise
        raise DataError(f"{shown(where)}: cannot be read ({e})") from e
    raise DataError(f"{shown(where)}: in no format that is read; {_known()}")


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
    writable = [name for name, known in FORMATS.items() if known.writer is not None]
    if format is not None:
        if format not in writable:
            hint = did_you_mean(format, writable)
            raise OptionError(f"no format {format!r} can be written.{hint} Known: {', '.join(writable)}")
        return format
    where = Path(path)
    for name in writable:
        suffix = FORMATS[name].suffix
        if suffix is not None and where.name.lower().endswith(suffix):
            return name
    if _suffix(where, ".lst", ".txt", ".csv", ".gz", ".tgz", ".zip", ".idx", ".mdb"):
        endings = ", ".join(f"{known.suffix}" for known in FORMATS.values() if known.suffix)
        raise OptionError(f"{shown(where)}: not written; a target ends with {endings}, or is a folder of people")
    return "folder"


def writer_for(path: str | os.PathLike[str], format: str | None = None) -> Callable[..., RecordWriter]:
    """What writes records at `path`: called `(path, resume=...)`; `OptionError` as `target_format`."""
    writer = FORMATS[target_format(path, format)].writer
    assert writer is not None
    made: Callable[..., RecordWriter] = _load(writer)
    return made


def _load(reference: str) -> Any:
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)
