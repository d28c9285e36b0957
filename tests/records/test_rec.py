"""Reading `.rec` files that another writer made, from the format's description alone."""

from __future__ import annotations

import base64
import multiprocessing
import os
import pickle
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import DataError
from occmask.records.record import Record, every_record
from occmask.records.recordio.reader import RecReader

MAGIC = bytes.fromhex("0a23d7ce")  # 0xced7230a, little-endian
JPEG = b"\xff\xd8\xff"
IMAGES = st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.just(MAGIC)), min_size=1, max_size=6).map(b"".join)


def stored(payload: bytes) -> bytes:
    """RecordIO: cut at every word that is the magic one; flag and length; zeros up to four bytes."""
    cuts = [i for i in range(0, len(payload) - 3, 4) if payload[i : i + 4] == MAGIC]
    bounds = list(zip([0, *(cut + 4 for cut in cuts)], [*cuts, len(payload)], strict=True))
    flags = [1, *[2] * (len(cuts) - 1), 3] if cuts else [0]
    parts = [
        MAGIC + struct.pack("<I", flag << 29 | (end - start)) + payload[start:end] + bytes(-(end - start) % 4)
        for flag, (start, end) in zip(flags, bounds, strict=True)
    ]
    return b"".join(parts)


def packed(key: int, label: float | Sequence[float], image: bytes = b"") -> bytes:
    """MXNet's header: one label in it, or how many follow it."""
    if isinstance(label, Sequence):
        return struct.pack(f"<IfQQ{len(label)}f", len(label), 0, key, 0, *label) + image
    return struct.pack("<IfQQ", 0, label, key, 0) + image


def write(folder: Path, records: Sequence[tuple[int, bytes]], *, idx: bool = True) -> Path:
    """`train.rec` and `train.idx` of (key, payload), in this order."""
    folder.mkdir(parents=True, exist_ok=True)
    offset, lines = 0, []
    with open(folder / "train.rec", "wb") as file:
        for key, payload in records:
            lines.append(f"{key}\t{offset}\n")
            offset += file.write(stored(payload))
    (folder / "train.idx").write_text("".join(lines))
    if not idx:
        (folder / "train.idx").unlink()
    return folder


def insightface(people: Sequence[tuple[int, Sequence[bytes]]]) -> list[tuple[int, bytes]]:
    """(number, pictures) of each person, as face2rec2 lays them out: pictures, record 0, people."""
    records, ranges = [], []
    for number, images in people:
        start = len(records) + 1
        records += [(start + i, packed(start + i, [number, 1.0], image)) for i, image in enumerate(images)]
        ranges.append((start, len(records) + 1))
    end = len(records) + 1
    records.append((0, packed(0, [end, end + len(ranges)])))
    return records + [(end + i, packed(end + i, bounds)) for i, bounds in enumerate(ranges)]


PEOPLE = [
    (0, [JPEG + b"a", JPEG + b"b"]),
    (1, [JPEG + b"c"]),
    (2, [b"\x89PNG\r\n\x1a\n" + MAGIC * 3, JPEG, JPEG + b"x"]),
]
PICTURES = [image for _, images in PEOPLE for image in images]


ANYBODY = st.tuples(st.integers(0, 1 << 24), st.lists(IMAGES, min_size=1, max_size=3))


@given(st.lists(ANYBODY, min_size=1, max_size=4))
def test_what_an_independent_writer_wrote_is_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, people: list[tuple[int, list[bytes]]]
) -> None:
    folder = write(tmp_path_factory.mktemp("rec"), insightface(people))
    images = [image for _, images in people for image in images]
    numbers = [number for number, images in people for _ in images]
    for idx in (True, False):
        if not idx:
            (folder / "train.idx").unlink()
        reader = RecReader(folder)
        assert [record.image for record in every_record(reader)] == images
        assert [int(reader.people[label]) for label in reader.labels] == numbers
        assert reader.skipped == []


# What mxnet 1.9.1 wrote (MXIndexedRecordIO, pack), compressed: two people, three pictures, magic words in two of them.
MXNET_REC = (
    "c-rGqzJ5-Pfq{XE0Rk8quz?2q|2O{U=cO_*Z~@h;Ffb^<)HC5$4^|80IDlvt28M)^#LOHJTLDQwGZwud3{nSFlkoor#7+gAc7gRc"
    "Ffbf&Kv&0t)oce0b*vcb92`Jq0sv;2Bsc"
)
MXNET_IDX = "1\t0\n2\t48\n3\t112\n0\t164\n4\t204\n5\t244\n"


def test_what_mxnet_wrote_is_read_exactly(tmp_path: Path) -> None:
    (tmp_path / "train.rec").write_bytes(zlib.decompress(base64.b85decode(MXNET_REC)))
    (tmp_path / "train.idx").write_text(MXNET_IDX)
    reader = RecReader(tmp_path)
    assert list(every_record(reader)) == [
        Record("0/1.jpg", 0, JPEG + b"one"),
        Record("0/2.jpg", 0, JPEG + b"\0" + MAGIC + MAGIC + b"tail"),
        Record("1/3.bin", 1, MAGIC + b"\xff\xd8"),
    ]


def test_record_0_tells_pictures_from_people(tmp_path: Path) -> None:
    reader = RecReader(write(tmp_path, insightface(PEOPLE)))
    assert reader.labels.tolist() == [0, 0, 1, 2, 2, 2]
    assert reader.keys.tolist() == [1, 2, 3, 4, 5, 6]
    assert reader.people == ("0", "1", "2")
    assert reader[3] == Record("2/4.png", 2, PEOPLE[2][1][0])


@pytest.mark.parametrize("name", ["", "train.rec", "train.idx"])
def test_the_folder_the_rec_and_the_idx_are_the_same(tmp_path: Path, name: str) -> None:
    assert len(RecReader(write(tmp_path, insightface(PEOPLE)) / name)) == 6


def test_opening_reads_one_header_of_each_person(tmp_path: Path) -> None:
    folder = write(tmp_path, insightface(PEOPLE))
    content = bytearray((folder / "train.rec").read_bytes())
    second = content.index(MAGIC, 4)  # the second picture of the first person
    content[second] ^= 1
    (folder / "train.rec").write_bytes(content)
    reader = RecReader(folder)
    assert (len(reader), reader.skipped) == (6, [])
    assert reader[0].image == PICTURES[0]
    with pytest.raises(DataError, match=r"^0/2.bin: no record begins at byte"):
        reader[1]


def test_a_damaged_first_picture_does_not_lose_its_person(tmp_path: Path) -> None:
    folder = write(tmp_path, insightface(PEOPLE))
    content = bytearray((folder / "train.rec").read_bytes())
    content[0] ^= 1
    (folder / "train.rec").write_bytes(content)
    reader = RecReader(folder)
    assert reader.labels.tolist() == [0, 1, 2, 2, 2]
    assert [(source.split(": ")[1], reason) for source, reason in reader.skipped] == [
        ("record 1", "no record begins at byte 0")
    ]


def test_ranges_that_do_not_tile_the_pictures_are_not_believed(tmp_path: Path) -> None:
    records = insightface(PEOPLE)
    records[-1] = (records[-1][0], packed(9, (5, 7)))
    assert RecReader(write(tmp_path, records)).labels.tolist() == [0, 0, 1, 2, 2, 2]


def test_a_file_of_im2rec_begins_with_a_picture_of_key_0(tmp_path: Path) -> None:
    records = [(2, packed(2, 700.0, JPEG)), (0, packed(0, 3.0, JPEG + b"first")), (1, packed(1, 700.0, JPEG))]
    reader = RecReader(write(tmp_path, records))
    assert reader.people == ("003", "700")
    assert reader.labels.tolist() == [0, 1, 1]
    assert reader[0] == Record("003/0.jpg", 0, JPEG + b"first")


def test_a_picture_with_two_labels_is_no_record_0(tmp_path: Path) -> None:
    records = [(0, packed(0, (1, 2), JPEG)), (1, packed(1, (4, 2), JPEG))]
    assert RecReader(write(tmp_path, records)).people == ("1", "4")


def test_without_an_idx_equal_keys_are_numbered_by_place(tmp_path: Path) -> None:
    records = [(0, packed(0, number, JPEG + bytes([number]))) for number in (5, 6, 5)]
    reader = RecReader(write(tmp_path, records, idx=False))
    assert [record.image[-1] for record in every_record(reader)] == [5, 6, 5]
    assert reader.labels.tolist() == [0, 1, 0]


def test_a_picture_cut_right_at_its_beginning_keeps_its_name(tmp_path: Path) -> None:
    reader = RecReader(write(tmp_path, [(0, packed(0, 1.0, MAGIC + JPEG))]))
    assert reader[0] == Record("1/0.bin", 0, MAGIC + JPEG)


def test_two_bytes_of_a_label_may_be_the_magic_word(tmp_path: Path) -> None:
    payload = packed(1, 1.0, MAGIC * 4 + JPEG)
    assert RecReader(write(tmp_path, [(1, payload)]))[0].image == MAGIC * 4 + JPEG


@pytest.mark.parametrize("label", [0.5, -1.0, float("nan"), float("inf")])
def test_what_is_no_persons_number_is_skipped_with_the_reason(tmp_path: Path, label: float) -> None:
    reader = RecReader(write(tmp_path, [(0, packed(0, 1.0, JPEG)), (1, packed(1, label, JPEG))]))
    assert len(reader) == 1
    assert "is no person's number" in reader.skipped[0].reason


def test_a_truncated_file_says_how_much_is_missing(tmp_path: Path) -> None:
    folder = write(tmp_path, insightface([(n, [JPEG + bytes(40)] * 2) for n in range(10)]))
    rec = folder / "train.rec"
    rec.write_bytes(rec.read_bytes()[: 5 * 84 + 50])
    reader = RecReader(folder)
    assert len(reader) == 5
    assert [source.removeprefix(f"{rec}: ") for source, _ in reader.skipped] == ["25 of 31 records", "record 6"]
    (folder / "train.idx").unlink()
    reader = RecReader(folder)
    assert len(reader) == 5
    assert "truncated" in reader.skipped[0].reason


def test_what_the_index_lists_twice_or_lacks_is_counted(tmp_path: Path) -> None:
    folder = write(tmp_path, insightface(PEOPLE))
    lines = (folder / "train.idx").read_text().splitlines(keepends=True)
    (folder / "train.idx").write_text("".join([lines[0], *lines]))
    assert "a second time" in RecReader(folder).skipped[0].reason
    (folder / "train.idx").write_text("".join(lines[1:]))
    reader = RecReader(folder)
    assert reader.labels.tolist() == [0, 1, 2, 2, 2]
    assert reader.skipped[0].source.endswith("1 of 6 pictures")


def test_an_index_of_another_file_is_one_error(tmp_path: Path) -> None:
    folder = write(tmp_path, [(key, packed(key, 1.0, JPEG)) for key in range(1200)])
    lines = [line.split("\t") for line in (folder / "train.idx").read_text().splitlines()]
    (folder / "train.idx").write_text("".join(f"{key}\t{int(offset) + 4}\n" for key, offset in lines))
    with pytest.raises(DataError, match=r"more than 1000 records .* the first, record 0: no record begins"):
        RecReader(folder)


@pytest.mark.parametrize("text", ["1\n2\n", "1\t2\t3\n4\n", "a\tb\n", "1\t1e400\n", f"1\t{'9' * 40}\n", "1\t2.5\n"])
def test_an_index_of_other_lines_is_refused(tmp_path: Path, text: str) -> None:
    (write(tmp_path, insightface(PEOPLE)) / "train.idx").write_text(text)
    with pytest.raises(DataError, match="key TAB offset"):
        RecReader(tmp_path)


def test_an_index_without_ends_of_lines_is_refused(tmp_path: Path) -> None:
    (write(tmp_path, insightface(PEOPLE)) / "train.idx").write_bytes(b" " * (1 << 20 | 1))
    with pytest.raises(DataError, match="no line ends"):
        RecReader(tmp_path)


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture of a person"):
        RecReader(write(tmp_path / "empty", []))
    with pytest.raises(DataError, match="the first reason: 4 bytes are no record"):
        RecReader(write(tmp_path / "short", [(1, b"four")], idx=False))
    reader = RecReader(write(tmp_path / "hollow", [(1, packed(1, 2.0))]))
    with pytest.raises(DataError, match=r"2/1\.bin: a record without a picture"):
        reader[0]


def test_property_is_read_and_not_needed(tmp_path: Path) -> None:
    folder = write(tmp_path, insightface(PEOPLE))
    assert RecReader(folder).property is None
    (folder / "property").write_text("3,112,96\n")
    assert RecReader(folder).property == (3, (112, 96))
    for text in ("3,112", "3,112,-1", "three,112,112", "\u0663,112,112", ""):
        (folder / "property").write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match="num_classes,height,width"):
            RecReader(folder)


def listed(folder: Path, lines: Sequence[str]) -> RecReader:
    (folder / "train.lst").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return RecReader(folder)


NAMES = ["anna/1.jpg", "anna/2.jpg", "b\u00f6rje/1.jpg", "\u5f20/a.png", "\u5f20/b.png", "\u5f20/c.png"]
LINES = [f"{key}\t{label}\t{name}" for key, label, name in zip(range(1, 7), (0, 0, 1, 2, 2, 2), NAMES, strict=True)]


def test_a_lst_gives_records_and_people_their_names(tmp_path: Path) -> None:
    reader = listed(write(tmp_path, insightface(PEOPLE)), [*LINES[::-1], "99\t5\tsome/body"])
    assert reader.people == ("anna", "b\u00f6rje", "\u5f20")
    assert [reader.name(i) for i in range(6)] == NAMES
    assert reader[2] == Record(NAMES[2], 1, PICTURES[2])
    assert reader.why_numbered is None


def test_a_lst_may_have_several_labels_and_lack_its_last_end_of_line(tmp_path: Path) -> None:
    folder = write(tmp_path, insightface(PEOPLE))
    (folder / "train.lst").write_text("\n".join(line.replace("\t", "\t1.5\t") for line in LINES), encoding="utf-8")
    assert RecReader(folder).name(5) == NAMES[5]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (LINES[:-1], "does not name 1 of the 6"),
        ([*LINES[:-1], "6\t2\t/data/x/c.png"], "line 6"),
        ([*LINES[:-1], "6\t2\t../c.png"], "line 6"),
        ([*LINES[:-1], "6\t2\tx/.c.png"], "line 6"),
        ([*LINES[:-1], "6\t2\tx\\y/c.png"], "line 6"),
        ([*LINES[:-1], "6\t2\tcon/c.png"], "line 6"),
        ([*LINES[:-1], f"6\t2\tx/{'c' * 256}"], "line 6"),
        ([*LINES[:-1], "6\t2\tdeep/x/c.png"], "line 6"),
        ([*LINES[:-1], "1\tx/c.png\t2"], "line 6"),
        ([*LINES[:-1], f"6\t2\tx/{'c' * 9000}"], "line 6"),
        ([*LINES[:-1], LINES[-2].replace("5\t", "6\t")], "names two records alike"),
        ([*LINES[:-1], "6\t2\tanna/c.png"], "not those of the labels"),
        ([line.replace("b\u00f6rje", "anna") for line in LINES[:2]] + ["3\t1\tanna/3.jpg", *LINES[3:]], "not those of"),
        ([], "is empty"),
    ],
)
def test_a_lst_that_does_not_name_all_is_not_half_believed(tmp_path: Path, lines: list[str], reason: str) -> None:
    reader = listed(write(tmp_path, insightface(PEOPLE)), lines)
    assert reader.why_numbered is not None
    assert reason in reader.why_numbered
    assert reader.people == ("0", "1", "2")
    assert reader.name(0) == "0/1.jpg"


def test_a_lst_that_changes_later_is_an_error_and_not_another_name(tmp_path: Path) -> None:
    reader = listed(write(tmp_path, insightface(PEOPLE)), LINES)
    with open(tmp_path / "train.lst", "r+b") as file:
        file.write(b"x" * 40)
    with pytest.raises(DataError, match="changed since"):
        reader.name(0)


def test_what_lies_there_instead_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        RecReader(tmp_path / "train.rec")
    with pytest.raises(DataError, match=r"no \.rec"):
        RecReader(tmp_path)
    (tmp_path / "a.tar").touch()
    with pytest.raises(DataError, match="not an InsightFace folder"):
        RecReader(tmp_path / "a.tar")
    os.mkfifo(tmp_path / "pipe.rec")
    with pytest.raises(DataError, match="not a regular file"):
        RecReader(tmp_path / "pipe.rec")
    (tmp_path / "other.rec").touch()
    with pytest.raises(DataError, match=r"several \.rec files \(other.rec, pipe.rec\)"):
        RecReader(tmp_path)
    write(tmp_path, insightface(PEOPLE))
    assert len(RecReader(tmp_path)) == 6


def test_outside_the_records_is_an_index_error(tmp_path: Path) -> None:
    reader = RecReader(write(tmp_path, insightface(PEOPLE)))
    for index in (-1, 6):
        with pytest.raises(IndexError):
            reader[index]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_and_threads_read_the_same_reader(tmp_path: Path, method: str) -> None:
    people = [(n, [JPEG + bytes([n, i]) * 100 for i in range(20)]) for n in range(10)]
    reader = RecReader(write(tmp_path, insightface(people)))
    wanted = list(every_record(reader))
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(reader.__getitem__, range(len(reader)))) == wanted
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as processes:
        indices = np.random.default_rng(0).permutation(len(reader))[:20].tolist()
        assert list(processes.map(RecReader.__getitem__, [reader] * 20, indices)) == [wanted[i] for i in indices]


def test_a_pickled_reader_opens_the_file_again(tmp_path: Path) -> None:
    sent = pickle.dumps(RecReader(write(tmp_path, insightface(PEOPLE))))
    assert pickle.loads(sent)[0].image == PICTURES[0]
    (tmp_path / "train.rec").unlink()
    with pytest.raises(DataError, match="no such file"):
        pickle.loads(sent)
