"""List files: the forms people have, and lines that say nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from occmask.errors import DataError
from occmask.records import list_file
from occmask.records.list_file import ListReader
from occmask.records.record import every_record

JPEG = b"\xff\xd8\xff\xe0"  # what a JPEG begins with


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("ann/1.jpg", "ann/my face.jpg", "bob/1.jpg", "bob/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(JPEG + name.encode())
    return tmp_path


def read(folder: Path, text: str | bytes, name: str = "faces.txt") -> ListReader:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return ListReader(folder / name)


def found(reader: ListReader) -> list[tuple[str, str, bytes]]:
    return [
        (record.name, reader.people[record.label], record.image.removeprefix(JPEG)) for record in every_record(reader)
    ]


BY_NUMBER = [
    ("7/1.jpg", "7", b"ann/1.jpg"),
    ("10/my face.jpg", "10", b"ann/my face.jpg"),
    ("7/2.jpg", "7", b"bob/2.jpg"),
]
TABBED = "ann/1.jpg\t7\nann/my face.jpg\t10\nbob/2.jpg\t7\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (TABBED, "x.txt"),
        (TABBED.replace("\t", " "), "x.txt"),
        (TABBED.replace("\n", "\r\n"), "x.txt"),
        ("\ufeff" + TABBED.rstrip("\n"), "x.txt"),
        ("# path and label\n\n" + TABBED.replace("\n", "\n\n  \n"), "x.lst"),
        ("0\t7.000000\tann/1.jpg\n1\t10.0\tann/my face.jpg\n2\t7\tbob/2.jpg\n", "x.lst"),
        ("0\t7\t0.5\t3\tann/1.jpg\n1\t10\t1e-3\t3\tann/my face.jpg\n2\t7\t3\t3\tbob/2.jpg\n", "x.lst"),
        (TABBED.replace("\t", ","), "x.csv"),
        ("path,label\n" + '"ann/1.jpg",7\n' + TABBED.replace("\t", ",").split("\n", 1)[1], "x.csv"),
        ("index,label,path\n0,7,ann/1.jpg\n1,10,ann/my face.jpg\n2,7,bob/2.jpg", "x.csv"),
    ],
)
def test_every_form_gives_the_same_records(text: str, name: str, pictures: Path) -> None:
    reader = read(pictures, text, name)
    assert found(reader) == BY_NUMBER
    assert reader.people == ("7", "10")
    assert reader.labels.tolist() == [0, 1, 0]
    assert reader.skipped == []


def test_a_path_alone_belongs_to_the_person_of_its_folder(pictures: Path) -> None:
    reader = read(pictures, "bob/1.jpg\nann/my face.jpg\n./ann/1.jpg\n")
    assert [(name, person) for name, person, _ in found(reader)] == [
        ("bob/1.jpg", "bob"),
        ("ann/my face.jpg", "ann"),
        ("ann/1.jpg", "ann"),
    ]


def test_paths_are_relative_to_the_root_or_absolute(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lists") / "x.txt"
    path.write_text(f"ann/1.jpg\n{pictures}/bob/1.jpg\n")
    assert [image for _, _, image in found(ListReader(path, root=pictures))] == [b"ann/1.jpg", b"bob/1.jpg"]
    reader = ListReader(path)
    with pytest.raises(DataError, match=r"ann/1\.jpg .*no such file"):
        reader[0]


def test_pictures_of_one_name_get_the_number_of_their_line(pictures: Path) -> None:
    reader = read(pictures, "ann/1.jpg x\nbob/1.jpg x\nbob/2.jpg x\n")
    assert [name for name, _, _ in found(reader)] == ["x/1.jpg", "x/1-2.jpg", "x/2.jpg"]


def test_bad_lines_are_skipped_by_number(pictures: Path) -> None:
    reader = read(
        pictures,
        b"ann/1.jpg\t7\nbob/1.jpg\nann/1.jpg\t8\nbob/1.jpg\t\nbob/1.jpg\t../7\n0\tx\tann/1.jpg\n"
        + b"y" * 20000
        + b"\t7\nx\0\t7\nbob/\xff.jpg\t7\nbob/..\t7\n1\t2\tbob/2.jpg\n",
    )
    assert [reader.name(index) for index in range(len(reader))] == ["7/1.jpg", "7/\udcff.jpg"]
    assert [(int(s.source.rpartition(":")[2]), s.reason) for s in reader.skipped] == [
        (2, "path, where the lines before are path and label"),
        (3, "ann/1.jpg is listed before"),
        (4, "an empty field"),
        (5, "../7/1.jpg: not a name like person/picture.jpg"),
        (6, "3 fields that are not index, label and path"),
        (7, "a line of more than 16384 bytes"),
        (8, "a line with a zero byte"),
        (10, "7/..: a name that begins with a dot"),
        (11, "index, label and path, where the lines before are path and label"),
    ]


def test_a_path_without_a_folder_or_label_is_skipped(pictures: Path) -> None:
    reader = read(pictures, "1.jpg\nann/1.jpg\n")
    assert "neither a label nor a folder" in reader.skipped[0].reason


def test_a_csv_that_is_none_is_told(pictures: Path) -> None:
    reader = read(pictures, 'ann/1.jpg,7\n"bob/1.jpg,7\n', "x.csv")
    assert "not a line of a .csv" in reader.skipped[0].reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no pictures; expected a text file"),
        ("# nothing\n", "no pictures"),
        ("a\n", r"no pictures; .*:1: a: neither"),
        ("ann/1.jpg\t7\n".encode("utf-16"), "UTF-16"),
        (b"\x89PNG\0\0", "not a text file"),
    ],
)
def test_a_list_of_nothing_is_an_error(text: str | bytes, expected: str, pictures: Path) -> None:
    with pytest.raises(DataError, match=expected):
        read(pictures, text)


def test_a_list_of_nothing_but_rubbish_does_not_fill_the_memory(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occmask.records.reading.MOST_SKIPPED", 5)
    with pytest.raises(DataError, match="with 5 others before it"):
        read(pictures, "ann/1.jpg\t7\n" + "x\n" * 10)


def test_a_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        ListReader(tmp_path / "x.txt")
    os.mkfifo(tmp_path / "x.txt")
    with pytest.raises(DataError, match="not a regular file"):
        ListReader(tmp_path / "x.txt")


def test_a_reader_is_pickled(pictures: Path) -> None:
    reader = read(pictures, TABBED)
    again = pickle.loads(pickle.dumps(reader))
    assert found(again) == found(reader) == BY_NUMBER
    with pytest.raises(IndexError):
        again[3]
    with pytest.raises(IndexError):
        again.name(-1)
    assert list_file.LAYOUT.startswith("a text file")


def test_a_file_that_is_no_picture_does_not_leave_through_a_list(pictures: Path) -> None:
    (pictures / "ann" / "secret.jpg").write_text("user:password")
    reader = read(pictures, "ann/secret.jpg\nann/1.jpg\n")
    with pytest.raises(DataError, match=r"ann/secret\.jpg .*: not a picture by its first bytes"):
        reader[0]
    assert reader[1].image == JPEG + b"ann/1.jpg"
