"""The folder writer, and names that come out of files anybody may have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import DataError
from occmask.records import names
from occmask.records.folder import FolderReader, FolderWriter
from occmask.records.names import NameIndex, PackedStrings, split_name
from occmask.records.record import Record, every_record

HOSTILE = [
    "../x.jpg",
    "../../x.jpg",
    "a/../x.jpg",
    "/etc/passwd",
    "a//x.jpg",
    "a/",
    "/a",
    "a",
    "",
    "a/b/c.jpg",
    "a/..",
    "./x.jpg",
    ".hidden/x.jpg",
    "a/.hidden",
    "a\\b/x.jpg",
    "a/..\\..\\x.jpg",
    "a/x\0.jpg",
    "a/x\n.jpg",
    "a/x\x7f.jpg",
    "a/NUL",
    "con/x.jpg",
    "a/aux.jpg",
    "a/" + "x" * 256,
    "\u00e9" * 128 + "/x.jpg",
    "a/\ud800.jpg",
]


def write_all(writer: FolderWriter, records: dict[str, bytes]) -> None:
    for name, image in records.items():
        writer.write(Record(name, 0, image), name.split("/")[0])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    records = {"ann/1.jpg": b"one", "b\u00f6rje/\udcff.jpg": b"two", "ann/2.png": b"three"}
    with FolderWriter(tmp_path / "faces") as writer:
        write_all(writer, records)
    reader = FolderReader(tmp_path / "faces")
    assert {record.name: record.image for record in every_record(reader)} == records
    assert reader.people == ("ann", "b\u00f6rje")
    assert sorted(os.listdir(tmp_path / "faces")) == ["ann", "b\u00f6rje"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "in" / "faces")
    with pytest.raises(DataError) as caught:
        writer.write(Record(name, 0, b"x"), name.split("/")[0])
    assert "\n" not in str(caught.value)
    assert writer.written == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert os.listdir(tmp_path / "in" / "faces") == []


@given(st.text(max_size=12).map(lambda text: text.replace("x", "/").replace("y", "..")))
def test_a_name_is_refused_or_is_two_plain_file_names(name: str) -> None:
    try:
        person, picture = split_name(name)
    except DataError:
        return
    assert os.path.normpath(os.path.join("root", person, picture)) == f"root/{person}/{picture}"
    assert name == f"{person}/{picture}"


PARTS = st.one_of(
    st.sampled_from(["con", "COM1.jpg", "nul .x", "..", ".a", "a" * 255, "a" * 256, "\u017f", "\u212a1", "a\n", ""]),
    st.text(max_size=6),
)


@given(PARTS, PARTS)
def test_the_short_look_at_ordinary_names_lets_no_other_pass(person: str, picture: str) -> None:
    if names._ORDINARY.fullmatch(f"{person}/{picture}"):
        assert names._why_no_file_name(person) is names._why_no_file_name(picture) is None


def test_a_record_named_after_another_person_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="named after ann, but a record of bob"):
        FolderWriter(tmp_path).write(Record("ann/1.jpg", 0, b"x"), "bob")


def test_an_empty_and_a_taken_name_are_refused_and_the_first_picture_stays(tmp_path: Path) -> None:
    with FolderWriter(tmp_path) as writer:
        write_all(writer, {"ann/1.jpg": b"first"})
        with pytest.raises(DataError, match="a second record of that name"):
            write_all(writer, {"ann/1.jpg": b"second"})
        with pytest.raises(DataError, match="empty"):
            write_all(writer, {"ann/2.jpg": b""})
    assert (tmp_path / "ann" / "1.jpg").read_bytes() == b"first"
    assert writer.written == 1


def test_a_link_in_the_place_of_a_person_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    writer = FolderWriter(tmp_path / "faces")
    (tmp_path / "faces" / "ann").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="not a file name here"):
        write_all(writer, {"ann/1.jpg": b"x"})
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_folder_with_anything_in_it_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DataError, match="exists already; choose another target"):
        FolderWriter(tmp_path)


def test_resuming_counts_what_is_whole_and_forgets_what_is_not(tmp_path: Path) -> None:
    write_all(FolderWriter(tmp_path), {"ann/1.jpg": b"1", "bob/1.jpg": b"2"})
    (tmp_path / ".unfinished").write_bytes(b"half of a pic")
    with FolderWriter(tmp_path, resume=True) as writer:
        assert writer.written == 2
        write_all(writer, {"bob/2.jpg": b"3"})
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        "ann/1.jpg",
        "bob/1.jpg",
        "bob/2.jpg",
    ]


def test_a_name_the_file_system_refuses_is_refused_and_a_full_disk_is_not_mistaken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    writer = FolderWriter(tmp_path)

    def fails_with(code: int) -> None:
        def replace(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr("occmask.records.folder.os.replace", replace)

    fails_with(errno.EILSEQ)
    with pytest.raises(DataError, match="not a file name here"):
        write_all(writer, {"ann/1.jpg": b"x"})
    fails_with(errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        write_all(writer, {"ann/1.jpg": b"x"})
    writer.leave()
    assert not (tmp_path / ".unfinished").exists()


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)))))
def test_packed_strings_are_a_sequence(texts: list[str]) -> None:
    packed = PackedStrings()
    for text in texts:
        packed.append(text)
    assert [packed[index] for index in range(len(packed))] == texts
    for index in (-1, len(texts)):
        with pytest.raises(IndexError):
            packed[index]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=40))
def test_people_are_sorted_by_name_or_by_number(pairs: list[tuple[int, int]]) -> None:
    by_name, by_number = NameIndex(), NameIndex()
    kept = [pair for pair in pairs if by_name.add(f"{pair[0]}/{pair[1]}.jpg")]
    assert len(kept) == len(set(pairs))
    for person, picture in kept:
        assert by_number.add(f"{person}/{picture}.jpg")
    people, labels = by_name.people_and_labels()
    assert list(people) == sorted({str(person) for person, _ in kept})
    assert [people[label] for label in labels] == [str(person) for person, _ in kept]
    people, labels = by_number.people_and_labels(by_number=True)
    assert list(people) == [str(number) for number in sorted({person for person, _ in kept})]
    assert [people[label] for label in labels] == [str(person) for person, _ in kept]
