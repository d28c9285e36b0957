"""A gallery's rows: bytes and texts in and out of SQLite, each change whole or not at all.

Imports no torch, so that what needs no model starts at once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError, OptionError
from ..images.reading import shown
from ..matching.storage import MAX_BYTES, RecordKind, record_kind
from .schema import WAIT, connect, create, explained

MAX_NAME, MAX_DETAILS = 255, 1 << 16  # characters of a name, of JSON
_AT_ONCE = 500  # ids in one question to SQLite
_PATIENCE = 200  # milliseconds that emptying the log waits for readers


@dataclass(frozen=True, kw_only=True)
class PictureSource:
    """Where a template comes from: the picture's name, the SHA-256 of its file, and any JSON object besides."""

    name: str = ""
    sha256: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class Person(NamedTuple):
    """Somebody in a gallery."""

    name: str
    pictures: int
    note: dict[str, Any]


class EnrolledPicture(NamedTuple):
    """One picture of a person in a gallery."""

    id: int
    name: str
    sha256: str
    enrolled: str  # UTC, ISO 8601
    details: dict[str, Any]


class Face(NamedTuple):
    """One face to keep, as bytes."""

    unit: bytes
    record: bytes
    source: PictureSource
    enrolled: str = ""  # now, if empty


class StoredFace(NamedTuple):
    """One face that was kept, with its checksum held against its bytes."""

    id: int
    person: str
    record: bytes


class KeptPicture(NamedTuple):
    """One picture with its person, as texts and bytes; `number` None: a person without any."""

    person: str
    note: str
    number: int | None
    name: str
    sha256: str
    enrolled: str
    details: str
    unit: bytes
    record: bytes
    whole: bool  # whether every checksum fits


class Store:
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

    # -- transactions --------------------------------------------------------------------------
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

    # -- what the gallery is -------------------------------------------------------------------
    def about(self) -> dict[str, str]:
        return dict(self._rows("SELECT name, value FROM about"))

    def note_about(self, name: str, value: str) -> None:
        with self.writing():
            self._connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def kind(self) -> RecordKind | None:
        """What the gallery's records hold; None before the first."""
        text = self.about().get("kind")
        if text is None:
            return None
        try:
            dim, parts, visible, grid, precision = json.loads(text)
            kind = RecordKind(int(dim), int(parts), bool(visible), None if grid is None else tuple(grid), precision)
            if kind.bytes > MAX_BYTES or kind.dim < 1:  # KeyError for an unknown precision
                raise ValueError(kind)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as e:
            raise DataError(f"{shown(self.path)}: it does not say what its templates hold ({e!r}); damaged") from e
        return kind

    def _hold(self, kind: RecordKind) -> None:
        """The first record says what all are like; `DataError` for one that is not."""
        held = self.kind()
        if held is None:
            self.note_about("kind", json.dumps(kind))
        elif kind != held:
            raise DataError(f"{shown(self.path)} holds {held}; a template of {kind} does not go with them")

    def count(self) -> tuple[int, int]:
        """People and pictures."""
        people, pictures = self._row("SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM pictures)")
        return int(people), int(pictures)

    # -- people --------------------------------------------------------------------------------
    def people(self) -> Iterator[Person]:
        """By name."""
        for name, pictures, note in self._rows(
            "SELECT name, (SELECT count(*) FROM pictures WHERE person = people.id), note FROM people ORDER BY name"
        ):
            yield Person(name, pictures, self._json(note))

    def person_id(self, name: str) -> int | None:
        found = self._rows("SELECT id FROM people WHERE name = ?", (check_name(name),))
        return int(found[0][0]) if found else None

    def pictures(self, person: int) -> list[EnrolledPicture]:
        found = self._rows(
            "SELECT id, name, sha256, enrolled, details FROM pictures WHERE person = ? ORDER BY id", (person,)
        )
        return [EnrolledPicture(i, name, sha, when, self._json(text)) for i, name, sha, when, text in found]

    def picture_ids(self, person: str) -> list[int]:
        """Of a person by name."""
        query = "SELECT pictures.id FROM pictures JOIN people ON people.id = person WHERE people.name = ?"
        return [number for (number,) in self._rows(query, (person,))]

    def enrol(
        self, person: str, faces: Sequence[Face], *, note: Mapping[str, Any] | None = None, instead: bool = False
    ) -> list[int]:
        """Add faces to a person, who is made if there is none of that name; the ids of their pictures.

        `instead`: of all that the person has.  A picture whose SHA-256 the person has already is a `DataError`.
        """
        if not faces:
            raise OptionError(f"nobody is enrolled without a face; give {shown(person)} one")
        with self.writing():
            for kind in {record_kind(face.record) for face in faces}:
                self._hold(kind)
            number = self.person_id(person)
            if number is None:
                number = self._insert("INSERT INTO people (name, note, checksum) VALUES (?, '{}', x'')", (person,))
                self._describe(number, person, as_json({} if note is None else note, "the note"))
            elif note is not None:
                self._describe(number, person, as_json(note, "the note"))
            if instead:
                self._connection.execute("DELETE FROM pictures WHERE person = ?", (number,))
            known = {sha for (sha,) in self._rows("SELECT sha256 FROM pictures WHERE person = ?", (number,))}
            ids = []
            for face in faces:
                if face.source.sha256 and face.source.sha256 in known:
                    raise DataError(
                        f"{shown(face.source.name)}: this very picture is enrolled for {shown(person)} already"
                    )
                known.add(face.source.sha256)
                ids.append(self._enrol_one(number, face))
        return ids

    def _enrol_one(self, person: int, face: Face) -> int:
        source = face.source
        enrolled = face.enrolled or datetime.now(UTC).isoformat(timespec="seconds")
        described = (source.name, source.sha256, enrolled, as_json(source.details, "the details"))
        for text in described[:3]:
            check_text(text)
        picture = self._insert(
            "INSERT INTO pictures (person, name, sha256, enrolled, details, checksum) VALUES (?, ?, ?, ?, ?, ?)",
            (person, *described, checksum(person, *described)),
        )
        self._connection.execute("INSERT INTO units VALUES (?, ?)", (picture, face.unit))
        summed = checksum(picture, face.unit, face.record)
        self._connection.execute("INSERT INTO templates VALUES (?, ?, ?)", (picture, face.record, summed))
        return picture

    def _describe(self, person: int, name: str, note: str) -> None:
        self._connection.execute(
            "UPDATE people SET name = ?, note = ?, checksum = ? WHERE id = ?",
            (name, note, checksum(person, name, note), person),
        )

    def rename(self, person: int, name: str) -> None:
        with self.writing():
            note = self._row("SELECT note FROM people WHERE id = ?", (person,))[0]
            self._describe(person, check_name(name), note)

    def delete_person(self, person: int) -> None:
        with self.writing():
            self._connection.execute("DELETE FROM people WHERE id = ?", (person,))

    def delete_pictures(self, ids: Iterable[int]) -> None:
        """And whoever has none left."""
        with self.writing():
            self._connection.executemany("DELETE FROM pictures WHERE id = ?", ((i,) for i in ids))
            self._connection.execute("DELETE FROM people WHERE id NOT IN (SELECT person FROM pictures)")

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

    # -- templates -----------------------------------------------------------------------------
    def faces(self, ids: Sequence[int]) -> list[StoredFace]:
        """These pictures' records, in the order of `ids`.  `DataError` for one whose checksum does not fit it."""
        found: dict[int, StoredFace] = {}
        for start in range(0, len(ids), _AT_ONCE):
            some = [int(i) for i in ids[start : start + _AT_ONCE]]
            marks = ",".join("?" * len(some))
            for picture, person, record, unit, summed in self._rows(
                "SELECT templates.id, people.name, record, unit, templates.checksum FROM templates "
                "JOIN units USING (id) JOIN pictures USING (id) JOIN people ON people.id = pictures.person "
                f"WHERE templates.id IN ({marks})",
                some,
            ):
                if summed != checksum(picture, unit, record):
                    raise DataError(f"{shown(self.path)}: the template of picture {picture} is damaged (its checksum)")
                found[picture] = StoredFace(picture, person, record)
        missing = [i for i in ids if int(i) not in found]
        if missing:
            raise DataError(f"{shown(self.path)}: there is no picture {missing[0]} any more")
        return [found[int(i)] for i in ids]

    def units(self, *, at_once: int) -> Iterator[list[tuple[int, bytes]]]:
        """Every picture's id and unit, by id, `at_once` together."""
        with explained(self.path):
            cursor = self._connection.execute("SELECT id, unit FROM units ORDER BY id")
            while some := cursor.fetchmany(at_once):
                yield some

    def everything(self) -> Iterator[KeptPicture]:
        """Every picture by person, as it stands in the file, damaged or not."""
        query = (
            "SELECT people.id, people.name, note, people.checksum, pictures.id, pictures.name, sha256, enrolled, "
            "details, pictures.checksum, unit, record, templates.checksum FROM people "
            "LEFT JOIN pictures ON pictures.person = people.id LEFT JOIN units ON units.id = pictures.id "
            "LEFT JOIN templates ON templates.id = pictures.id ORDER BY people.name, pictures.id"
        )
        with explained(self.path):
            for row in self._connection.execute(query):
                person, name, note, of_person, number, *texts, of_picture, unit, record, of_template = row
                described: tuple[str, str, str, str] = tuple(texts)
                whole = (
                    of_person == checksum(person, name, note)
                    and of_picture == checksum(person, *described)
                    and None not in (unit, record)
                    and of_template == checksum(number, unit, record)
                )
                yield KeptPicture(name, note, number, *described, unit or b"", record or b"", whole)

    def structure_problems(self) -> list[str]:
        """What SQLite itself finds wrong; nothing, mostly."""
        with explained(self.path):
            told = [row[0] for row in self._connection.execute("PRAGMA integrity_check(20)")]
            orphans = self._connection.execute("PRAGMA foreign_key_check").fetchmany(20)
        return [str(line) for line in told if line != "ok"] + [
            f"{row[0]} {row[1]} belongs to nobody" for row in orphans
        ]

    # -- how -----------------------------------------------------------------------------------
    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with explained(self.path):
            return self._connection.execute(query, values).fetchall()

    def _row(self, query: str, values: Sequence[Any] = ()) -> Any:
        return self._rows(query, values)[0]

    def _insert(self, query: str, values: Sequence[Any]) -> int:
        number = self._connection.execute(query, values).lastrowid
        assert number is not None
        return number

    def _json(self, text: Any) -> dict[str, Any]:
        try:
            plain = json.loads(text) if isinstance(text, str) and len(text) <= MAX_DETAILS else None
        except (ValueError, RecursionError):
            plain = None
        if not isinstance(plain, dict):
            raise DataError(f"{shown(self.path)}: a note in it is no JSON object; the file is damaged")
        return plain


def checksum(*parts: str | bytes | int) -> bytes:
    """16 bytes over texts, bytes and numbers in their order: against damage, not against forgery."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()


def check_name(name: str) -> str:
    """A person's name: some printable characters, or `OptionError`."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise OptionError(f"a person has a name of printable characters, not {name!r}")
    return check_text(name)


def check_text(text: str) -> str:
    """Text that fits a name's place, or `OptionError`."""
    try:
        fits = isinstance(text, str) and len(text) <= MAX_NAME and "\x00" not in text and bool(text.encode() or True)
    except UnicodeEncodeError:  # a file name need not be text
        fits = False
    if not fits:
        raise OptionError(f"names are Unicode texts of at most {MAX_NAME} characters, not {text!r:.80}")
    return text


def as_json(plain: Mapping[str, Any], what: str) -> str:
    """A JSON object as text, or `OptionError`."""
    try:
        text = json.dumps(dict(plain), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as e:
        raise OptionError(f"{what} of a face is a JSON object: {e}") from e
    if len(text) > MAX_DETAILS:
        raise OptionError(f"{what} of a face has {len(text):,} characters of JSON; up to {MAX_DETAILS:,} are kept")
    return text
