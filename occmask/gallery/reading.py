"""A whole gallery, read a block or a picture at a time.  Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from .database import Database
from .entries import KeptPicture
from .texts import checksum


def unit_blocks(database: Database, *, at_once: int) -> Iterator[list[tuple[int, bytes]]]:
    """Every picture's id and unit, by id, `at_once` together."""
    rows = database.each_row("SELECT id, unit FROM units ORDER BY id")
    while some := list(islice(rows, at_once)):
        yield some


def kept_pictures(database: Database) -> Iterator[KeptPicture]:
    """Every picture by person, as it stands in the file, damaged or not."""
    query = (
        "SELECT people.id, people.name, note, people.checksum, pictures.id, pictures.name, sha256, enrolled, "
        "details, pictures.checksum, unit, record, templates.checksum FROM people "
        "LEFT JOIN pictures ON pictures.person = people.id LEFT JOIN units ON units.id = pictures.id "
        "LEFT JOIN templates ON templates.id = pictures.id ORDER BY people.name, pictures.id"
    )
    for row in database.each_row(query):
        person, name, note, of_person, number, *texts, of_picture, unit, record, of_template = row
        described: tuple[str, str, str, str] = tuple(texts)
        whole = (
            of_person == checksum(person, name, note)
            and of_picture == checksum(person, *described)
            and None not in (unit, record)
            and of_template == checksum(number, unit, record)
        )
        yield KeptPicture(name, note, number, *described, unit or b"", record or b"", whole)
