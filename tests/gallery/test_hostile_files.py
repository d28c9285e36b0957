"""A file that is no gallery of ours, or was made to do harm, is refused; a damaged one is reported, not believed."""

import os
import shutil
import sqlite3

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from occmask import DataError, Gallery, OccmaskError, PictureSource, Template
from occmask.gallery.schema import APPLICATION_ID

MODEL = "a" * 64


def faces(count, seed=0):
    summands = torch.randn(count, 4, 8, generator=torch.Generator().manual_seed(seed))
    return Template(summands.sum(1), summands, torch.ones(count, 4), (2, 2))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A good gallery, closed, so that its log is empty."""
    path = tmp_path_factory.mktemp("whole") / "people.gallery"
    with Gallery(path, model=MODEL) as gallery:
        for number in range(20):
            sources = [PictureSource(name=f"{i}.png", details={"i": i}) for i in range(2)]
            gallery.enrol(f"person {number}", faces(2, number), sources=sources)
    return path


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copy(whole, tmp_path / "people.gallery")


def sql(path, *statements):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def refused(path, message):
    for model in (MODEL, None):
        with pytest.raises(DataError, match=message):
            Gallery(path, model=model)


def test_the_file_that_all_others_are_made_from_is_whole(path):
    with Gallery(path, model=MODEL) as gallery:
        assert gallery.check() == (20, 40, ())


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00", b"not a database " * 100, b"\x80\x04\x95" * 50])
def test_a_file_of_another_format_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "people.gallery"
    path.write_bytes(content)
    refused(path, "no gallery: (not a file of SQLite|an empty file)|another application")
    assert path.read_bytes() == content


def test_a_missing_file_is_made_only_for_a_model(tmp_path):
    with pytest.raises(DataError, match="there is no gallery here"):
        Gallery(tmp_path / "new.gallery")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="choose a folder to write to"):
        Gallery(tmp_path / "no" / "new.gallery", model=MODEL)


def test_links_folders_and_pipes_are_refused(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "link", "a link")
    refused(tmp_path / "dangling", "a link")
    assert not (tmp_path / "nowhere").exists()
    refused(tmp_path, "no file")
    refused(tmp_path / "pipe", "no file")
    refused(tmp_path / "a\x00b", r"cannot be read|cannot be made")


def test_sqlite_files_of_others_are_refused(tmp_path):
    other = tmp_path / "other.db"
    sql(other, "CREATE TABLE people (id INTEGER)")
    refused(other, "of another application")
    sql(other, f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 1")
    refused(other, "its schema is not that of a gallery")


def test_a_later_version_is_refused_by_number(path):
    sql(path, "PRAGMA user_version = 2")
    refused(path, "a gallery of version 2; this occmask reads 1")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON people BEGIN DELETE FROM people; END",
        "CREATE VIEW v AS SELECT * FROM people",
        "CREATE TABLE extra (x)",
        "CREATE INDEX extra ON pictures (name)",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "DROP TABLE units",
        "ALTER TABLE people ADD COLUMN more TEXT",
    ],
)
def test_whatever_the_schema_does_not_name_is_refused(path, statement):
    sql(path, statement)
    refused(path, "its schema is not that of a gallery")


def test_a_table_that_is_secretly_a_view_is_refused(path):
    sql(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET type = 'view', rootpage = 0, "
        "sql = 'CREATE VIEW units AS SELECT 1 id, zeroblob(1000000000) unit' WHERE name = 'units'",
    )
    refused(path, "schema|damaged")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_or_reported(path, share):
    with open(path, "r+b") as file:
        file.truncate(int(os.path.getsize(path) * share))
    _refused_or_reported(path)


def test_a_changed_unit_record_or_note_is_reported_by_picture(path):
    sql(
        path,
        "UPDATE units SET unit = randomblob(length(unit)) WHERE id = 3",
        "UPDATE templates SET record = CAST(substr(record, 1, 40) || x'09' || substr(record, 42) AS BLOB) WHERE id = 5",
        "UPDATE pictures SET name = 'other.png' WHERE id = 7",
        "UPDATE people SET name = 'somebody' WHERE id = 10",
    )
    with Gallery(path, model=MODEL) as gallery:
        problems = gallery.check().problems
        assert sorted(int(p.split()[1]) for p in problems) == [3, 5, 7, 19, 20], problems
        assert all("checksum" in problem for problem in problems)
        with pytest.raises(DataError, match="the template of picture 5 is damaged"):
            gallery.template_of("person 2")
        with pytest.raises(DataError, match="damaged"):
            gallery.export(path.parent / "out.jsonl")
    assert not (path.parent / "out.jsonl").exists()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM units WHERE id = 4",
        "DELETE FROM templates WHERE id = 4",
        "DELETE FROM pictures WHERE person = 4",
        "INSERT INTO templates VALUES (1000, x'00', x'00')",
        "UPDATE pictures SET person = 99 WHERE id = 4",
    ],
)
def test_rows_that_belong_to_nobody_or_are_missing_are_reported(path, statement):
    sql(path, statement)
    with Gallery(path, model=MODEL) as gallery:
        assert gallery.check().problems


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE about SET value = '[1e400, 1, true, null, \"int8\"]' WHERE name = 'kind'",
        "UPDATE about SET value = '[16777216, 4096, true, null, \"float32\"]' WHERE name = 'kind'",
        "UPDATE about SET value = '[8, 4, true, [2, 2], \"fp8\"]' WHERE name = 'kind'",
        "UPDATE about SET value = '{}' WHERE name = 'kind'",
        "UPDATE about SET value = zeroblob(100000000) WHERE name = 'kind'",
        "UPDATE about SET value = x'ff' WHERE name = 'model'",
        "UPDATE units SET unit = zeroblob(60000000) WHERE id = 9",
        "UPDATE units SET unit = 'text'",
        "UPDATE units SET unit = 5",
        "UPDATE templates SET record = zeroblob(90000000) WHERE id < 3",
        "UPDATE templates SET record = 1.5, checksum = 1",
        "UPDATE people SET note = '[' WHERE id = 1",
        "UPDATE people SET name = CAST(x'ff' AS TEXT) WHERE id = 1",
        "UPDATE pictures SET details = 'null'",
        "UPDATE pictures SET details = printf('%.*c', 9999999, '[') WHERE id = 9",
        "DELETE FROM about",
    ],
)
def test_values_that_cannot_be_are_refused_or_reported_and_never_believed(path, statement):
    sql(path, statement)
    _refused_or_reported(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes_anywhere_are_refused_reported_or_without_effect(whole, tmp_path, data):
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "changed.gallery"
    for old in tmp_path.iterdir():
        old.unlink()
    path.write_bytes(content)
    _refused_or_reported(path, must=False)


def _refused_or_reported(path, *, must=True):
    """Nothing but our own errors come out; a file that check calls whole gives what was enrolled."""
    try:
        with Gallery(path, model=MODEL) as gallery:
            problems = gallery.check().problems
            assert problems or not must
            people = gallery.people()
            found = gallery.identify(faces(1), top=3)
            for person in people:
                gallery.pictures(person.name)
                gallery.template_of(person.name)
            if not problems and len(people) == 20:
                assert found[0][0].person == "person 0"
    except OccmaskError:
        pass
