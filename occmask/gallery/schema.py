"""What a gallery's file looks like, and the refusal of files that look otherwise.

Schema version 1.  `units` and `templates` are tables of their own, so that a first pass over all units reads nothing
else.  No triggers, no views, nothing else: what the schema does not name is not in the file.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from ..errors import DataError
from ..images.reading import shown
from ..matching.storage import MAX_BYTES

APPLICATION_ID = 0x6F636D47  # "ocmG"
VERSION = 1
WAIT = 30.0  # seconds for another writer to finish

_SCHEMA = (
    "CREATE TABLE about (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
    "CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, note TEXT NOT NULL, "
    "checksum BLOB NOT NULL)",
    "CREATE TABLE pictures (id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE, name TEXT NOT NULL, sha256 TEXT NOT NULL, "
    "enrolled TEXT NOT NULL, details TEXT NOT NULL, checksum BLOB NOT NULL)",
    "CREATE INDEX pictures_of_person ON pictures (person)",
    "CREATE TABLE units (id INTEGER PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE, unit BLOB NOT NULL)",
    "CREATE TABLE templates (id INTEGER PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE, "
    "record BLOB NOT NULL, checksum BLOB NOT NULL)",
)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors as ours, with the file they are about."""
    try:
        yield
    except sqlite3.OperationalError as e:
        if "locked" in str(e) or "busy" in str(e):
            told = f"another process has been writing for more than {WAIT:g} seconds; try again"
        else:
            told = "the file is damaged, or cannot be written"
        raise DataError(f"{shown(path)}: {e}: {told}") from e
    except sqlite3.Error as e:
        raise DataError(f"{shown(path)}: {e}: the file is damaged; restore it from a copy") from e


def create(path: Path, about: dict[str, str]) -> None:
    """A new, empty gallery that only its owner may read.

    It is made under another name and gets its own when it is whole; if somebody else's gets there first, that one
    stays.  Raises `DataError` where no file can be made.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or e
        raise DataError(f"{shown(path)}: cannot be made here ({reason}); choose a folder to write to") from e
    os.close(handle)
    try:
        with explained(path), closing(sqlite3.connect(name, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            connection.execute("COMMIT")
        _give_name(name, path)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(name + suffix).unlink(missing_ok=True)


def _give_name(name: str, path: Path) -> None:
    try:
        os.link(name, path)  # unlike renaming, it never replaces
    except FileExistsError:
        return
    except OSError:  # a file system without links
        if not os.path.lexists(path):
            os.replace(name, path)


def connect(path: Path) -> sqlite3.Connection:
    """An open gallery, after everything about the file was looked at that can be wrong with it.

    Raises `DataError` for anything else than a gallery of this version: no file, a link, a folder, another format, a
    SQLite file of another application, tables that were changed, or a trigger or a view beside them.
    """
    _check_file(path)
    with explained(path):
        uri = f"file:{quote(os.fspath(path.absolute()))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)
        try:
            _harden(connection)
            _check_schema(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA synchronous = FULL")  # what was committed survives a power cut, too
        except BaseException:
            connection.close()
            raise
    return connection


def _harden(connection: sqlite3.Connection) -> None:
    """Before anything is read: nothing that the file holds is ever run, and it cannot fill the memory."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES + (1 << 20))
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)


def _check_file(path: Path) -> None:
    called = shown(path)
    try:
        status = os.lstat(path)
    except (OSError, ValueError) as e:
        missing = isinstance(e, FileNotFoundError)
        raise DataError(f"{called}: {'there is no gallery here' if missing else f'cannot be read ({e})'}") from None
    if stat.S_ISLNK(status.st_mode):
        raise DataError(f"{called}: a link, which might lead anywhere; name the gallery's file itself")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{called}: no file; name the gallery's file itself")
    # It is not opened to look inside: closing it would drop the locks of every connection that this process has to it.
    if status.st_size == 0:
        raise DataError(f"{called}: no gallery: an empty file; give a new name to make one")


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError as e:
        if "not a database" in str(e):
            raise DataError(f"{shown(path)}: no gallery: not a file of SQLite; give a new name to make one") from None
        raise
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise DataError(f"{shown(path)}: a SQLite file of another application, and no gallery of occmask")
    if version != VERSION:
        raise DataError(f"{shown(path)}: a gallery of version {version}; this occmask reads {VERSION}, update it")
    found = set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
    if found != _expected():
        odd = sorted({f"{kind} {name}" for kind, name, *_ in found ^ _expected()})
        raise DataError(
            f"{shown(path)}: its schema is not that of a gallery ({', '.join(odd[:5])[:200]!r}); it is not opened"
        )
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise DataError(
            f"{shown(path)}: this file system does not let SQLite keep a write-ahead log; copy it elsewhere"
        )


def _expected() -> set[tuple[str, str, str, str | None]]:
    """What SQLite makes of our schema, of which it adds some itself."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in _SCHEMA:
            connection.execute(statement)
        return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
