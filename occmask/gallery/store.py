"""A gallery's people and pictures: texts and bytes in and out of SQLite.  Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..errors import DataError, OptionError
from ..images.reading import shown
from ..matching.storage import MAX_BYTES, RecordKind, record_kind
from .database import Database
from .entries import EnrolledPicture, Face, Person, StoredFace
from .texts import MAX_DETAILS, as_json, check_name, check_text, checksum

_AT_ONCE = 500  # ids in one question to SQLite


class Store(Database):
    """A gallery's file, open, and who is in it.  Raises as `Database`."""

    # -- what the gallery is -------------------------------------------------------------------
    def about(self) -> dict[str, str]:
        return dict(self.rows("SELECT name, value FROM about"))

    def note_about(self, name: str, value: str) -> None:
        with self.writing():
            self.change("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

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
        people, pictures = self.row("SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM pictures)")
        return int(people), int(pictures)

    # -- people --------------------------------------------------------------------------------
    def people(self) -> Iterator[Person]:
        """By name."""
        for name, pictures, note in self.rows(
            "SELECT name, (SELECT count(*) FROM pictures WHERE person = people.id), note FROM people ORDER BY name"
        ):
            yield Person(name, pictures, self._json(note))

    def person_id(self, name: str) -> int | None:
        found = self.rows("SELECT id FROM people WHERE name = ?", (check_name(name),))
        return int(found[0][0]) if found else None

    def existing_person(self, name: str) -> int:
        """The id of somebody who is there.  Raises `DataError` for nobody."""
        number = self.person_id(name)
        if number is None:
            raise DataError(f"{shown(self.path)}: nobody is called {shown(name)} here")
        return number

    def pictures(self, person: int) -> list[EnrolledPicture]:
        found = self.rows(
            "SELECT id, name, sha256, enrolled, details FROM pictures WHERE person = ? ORDER BY id", (person,)
        )
        return [EnrolledPicture(i, name, sha, when, self._json(text)) for i, name, sha, when, text in found]

    def picture_ids(self, person: str) -> list[int]:
        """Of a person by name."""
        query = "SELECT pictures.id FROM pictures JOIN people ON people.id = person WHERE people.name = ?"
        return [number for (number,) in self.rows(query, (person,))]

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
                number = self.insert("INSERT INTO people (name, note, checksum) VALUES (?, '{}', x'')", (person,))
                self._describe(number, person, as_json({} if note is None else note, "the note"))
            elif note is not None:
                self._describe(number, person, as_json(note, "the note"))
            if instead:
                self.change("DELETE FROM pictures WHERE person = ?", (number,))
            known = {sha for (sha,) in self.rows("SELECT sha256 FROM pictures WHERE person = ?", (number,))}
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
        picture = self.insert(
            "INSERT INTO pictures (person, name, sha256, enrolled, details, checksum) VALUES (?, ?, ?, ?, ?, ?)",
            (person, *described, checksum(person, *described)),
        )
        self.change("INSERT INTO units VALUES (?, ?)", (picture, face.unit))
        summed = checksum(picture, face.unit, face.record)
        self.change("INSERT INTO templates VALUES (?, ?, ?)", (picture, face.record, summed))
        return picture

    def _describe(self, person: int, name: str, note: str) -> None:
        self.change(
            "UPDATE people SET name = ?, note = ?, checksum = ? WHERE id = ?",
            (name, note, checksum(person, name, note), person),
        )

    def rename(self, person: int, name: str) -> None:
        with self.writing():
            note = self.row("SELECT note FROM people WHERE id = ?", (person,))[0]
            self._describe(person, check_name(name), note)

    def delete_person(self, person: int) -> None:
        with self.writing():
            self.change("DELETE FROM people WHERE id = ?", (person,))

    def delete_pictures(self, ids: Iterable[int]) -> None:
        """And whoever has none left."""
        with self.writing():
            for picture in ids:
                self.change("DELETE FROM pictures WHERE id = ?", (picture,))
            self.change("DELETE FROM people WHERE id NOT IN (SELECT person FROM pictures)")

    # -- templates -----------------------------------------------------------------------------
    def faces(self, ids: Sequence[int]) -> list[StoredFace]:
        """These pictures' records, in the order of `ids`.  `DataError` for one whose checksum does not fit it."""
        found: dict[int, StoredFace] = {}
        for start in range(0, len(ids), _AT_ONCE):
            some = [int(i) for i in ids[start : start + _AT_ONCE]]
            marks = ",".join("?" * len(some))
            for picture, person, record, unit, summed in self.rows(
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

    # -- how -----------------------------------------------------------------------------------
    def _json(self, text: Any) -> dict[str, Any]:
        try:
            plain = json.loads(text) if isinstance(text, str) and len(text) <= MAX_DETAILS else None
        except (ValueError, RecursionError):
            plain = None
        if not isinstance(plain, dict):
            raise DataError(f"{shown(self.path)}: a note in it is no JSON object; the file is damaged")
        return plain
