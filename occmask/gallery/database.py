"""A gallery's file, open: its transactions, each whole or not at all, and questions to SQLite.  Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .schema import WAIT, connect, create, explained

_PATIENCE = 200  # milliseconds that emptying the log waits for readers


class Database:
    """The file, open.  One thread uses it; every other opens the file for itself.

    Raises `DataError` as `schema.connect` does, and for whatever SQLite reports later.
    """

    def __init__(self, path: str | os.PathLike[str], *, about: Mapping[str, str] | None = None):
        """`about`: make the file if there is none, with these notes."""
        self.path = Path(path)
        if about is not None and not os.path.lexists(self.path):
            create(self.path, dict(about))
        self._connection = connect(self.path)
        self._depth, self._writes = 0, False

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All changes within are one: all of them are kept, or none.  Can be nested; the outermost counts."""
        if not self._depth:
            self._writes = True
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything within sees the file at one moment."""
        if not self._depth:
            self._writes = False
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        # Within another one a failure takes back its own part, and whoever catches it may go on.
        point = f"point_{self._depth}"
        start, keep, undo = (
            (f"SAVEPOINT {point}", f"RELEASE {point}", f"ROLLBACK TO {point}; RELEASE {point}")
            if self._depth
            else (begin, "COMMIT", "ROLLBACK")
        )
        with explained(self.path):
            self._connection.execute(start)
            self._depth += 1
            try:
                yield
                self._connection.execute(keep)
            except BaseException:
                if self._connection.in_transaction:
                    for statement in undo.split(";"):
                        self._connection.execute(statement)
                raise
            finally:
                self._depth -= 1

    @property
    def is_writing(self) -> bool:
        """Whether a transaction is open that may still be taken back."""
        return self._depth > 0 and self._writes

    def changes_of_others(self) -> int:
        """A number that changes when another connection has written."""
        with explained(self.path):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def empty_log(self) -> bool:
        """Write the log back and cut it to nothing, so that what was deleted is in neither file; False: others read."""
        if self._depth:
            return False
        with explained(self.path):
            self._connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}")  # readers may go on for long
            try:
                busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {WAIT * 1000:.0f}")
        return not busy

    def structure_problems(self) -> list[str]:
        """What SQLite itself finds wrong; nothing, mostly."""
        with explained(self.path):
            told = [row[0] for row in self._connection.execute("PRAGMA integrity_check(20)")]
            orphans = self._connection.execute("PRAGMA foreign_key_check").fetchmany(20)
        return [str(line) for line in told if line != "ok"] + [
            f"{row[0]} {row[1]} belongs to nobody" for row in orphans
        ]

    # -- questions, and changes within `writing` -----------------------------------------------
    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with explained(self.path):
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> Any:
        return self.rows(query, values)[0]

    def each_row(self, query: str) -> Iterator[Any]:
        """One at a time, of tables that the memory could not hold."""
        with explained(self.path):
            yield from self._connection.execute(query)

    def change(self, statement: str, values: Sequence[Any] = ()) -> None:
        self._connection.execute(statement, values)

    def insert(self, statement: str, values: Sequence[Any]) -> int:
        """The id of the new row."""
        number = self._connection.execute(statement, values).lastrowid
        assert number is not None
        return number
