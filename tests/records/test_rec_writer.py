"""Writing `.rec` files: what InsightFace's loader finds in them, and what survives a crash."""

from __future__ import annotations

import io
import os
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occmask.errors import DataError
from occmask.records.names import why_no_name
from occmask.records.record import Record, every_record
from occmask.records.recordio.reader import RecReader
from occmask.records.recordio.writer import RecWriter

MAGIC = bytes.fromhex("0a23d7ce")  # 0xced7230a, little-endian
JPEG = b"\xff\xd8\xff"


def somebody(labels: Sequence[int], *, image: bytes = JPEG) -> list[Record]:
    """One record for each label, each with another picture."""
    return [Record(f"p{label:03d}/{i}.jpg", label, image + bytes([i])) for i, label in enumerate(labels)]


def write(path: Path, records: Sequence[Record], *, resume: bool = False) -> Path:
    with RecWriter(path, resume=resume) as writer:
        for record in records[writer.written :]:
            writer.write(record, record.name.split("/")[0])
    return path


def loaded_by_key(folder: Path, key: int) -> tuple[tuple[float, ...], bytes]:
    """(labels, picture) of an unsplit record, found in the index as MXNet finds it."""
    offsets = dict(map(int, line.split("\t")) for line in (folder / "train.idx").read_text().splitlines())
    with open(folder / "train.rec", "rb") as file:
        file.seek(offsets[key])
        magic, length = file.read(4), struct.unpack("<I", file.read(4))[0]
        assert (magic, length >> 29) == (MAGIC, 0)
        payload = file.read(length)
    count, label, _, _ = struct.unpack_from("<IfQQ", payload)
    labels = struct.unpack_from(f"<{count}f", payload, 24) if count else (label,)
    return labels, payload[24 + 4 * count :]


def test_insightface_finds_pictures_and_people_by_record_0(tmp_path: Path) -> None:
    records = somebody([0, 0, 1, 2, 2, 2])
    write(tmp_path, records)
    (first, end), nothing = loaded_by_key(tmp_path, 0)
    assert (first, end, nothing) == (7, 10, b"")
    assert [loaded_by_key(tmp_path, key) for key in range(1, 7)] == [((r.label,), r.image) for r in records]
    assert [loaded_by_key(tmp_path, key)[0] for key in range(7, 10)] == [(1, 3), (3, 4), (4, 7)]


def test_people_who_come_back_have_no_ranges_and_lose_nothing(tmp_path: Path) -> None:
    records = somebody([0, 1, 0, 1])
    write(tmp_path, records)
    assert loaded_by_key(tmp_path, 0) == ((5, 5), b"")
    assert list(every_record(RecReader(tmp_path))) == records


def test_property_has_the_classes_and_the_size_of_the_pictures(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (96, 112)).save(file, "JPEG")
    write(tmp_path / "a", somebody([0, 4], image=file.getvalue()))
    assert (tmp_path / "a" / "property").read_text() == "5,112,96\n"
    assert RecReader(tmp_path / "a").property == (5, (112, 96))
    write(tmp_path / "b", somebody([0, 4]))
    assert sorted(os.listdir(tmp_path / "b")) == ["train.idx", "train.lst", "train.rec"]  # no size is invented


PICTURES = st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.just(MAGIC)), min_size=1, max_size=5).map(b"".join)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=8)
PEOPLE = NAMES.filter(lambda name: why_no_name(f"{name}/1.jpg") is None)


@given(st.dictionaries(PEOPLE, st.lists(PICTURES, min_size=1), min_size=1))
def test_names_labels_and_pictures_survive(
    tmp_path_factory: pytest.TempPathFactory, people: dict[str, list[bytes]]
) -> None:
    records = [
        Record(f"{person}/{i}.jpg", label, image)
        for label, (person, images) in enumerate(people.items())
        for i, image in enumerate(images)
    ]
    reader = RecReader(write(tmp_path_factory.mktemp("rec") / "any.rec", records))
    assert list(every_record(reader)) == records
    assert list(reader.people) == list(people)


def test_labels_need_not_be_close_together(tmp_path: Path) -> None:
    reader = RecReader(write(tmp_path, somebody([5, 100_000, (1 << 24) - 1])))
    assert reader.people == ("p005", "p100000", "p16777215")
    assert [loaded_by_key(tmp_path, key)[0][0] for key in (1, 2, 3)] == [5, 100_000, (1 << 24) - 1]


def test_a_name_of_no_encoding_survives(tmp_path: Path) -> None:
    record = Record(os.fsdecode(b"caf\xe9/\xff.jpg"), 0, JPEG)
    assert list(every_record(RecReader(write(tmp_path, [record])))) == [record]


@pytest.mark.parametrize(
    ("record", "person", "reason"),
    [
        (Record("a/b/c.jpg", 0, JPEG), "a", "not a name like person/picture"),
        (Record("c.jpg", 0, JPEG), "c.jpg", "not a name like person/picture"),
        (Record("a/line\nbreak", 0, JPEG), "a", "a control character"),
        (Record("a/tab\t", 0, JPEG), "a", "a control character"),
        (Record("../a", 0, JPEG), "..", "begins with a dot"),
        (Record("con/a", 0, JPEG), "con", "a device on Windows"),
        (Record(f"a/{'b' * 9000}", 0, JPEG), "a", "a name of 9000 bytes"),
        (Record("a/\ud800", 0, JPEG), "a", "no Unicode text"),
        (Record("a/1", 0, JPEG), "b", "a record of b"),
        (Record("a/1", -1, JPEG), "a", "label -1"),
        (Record("a/1", 1 << 24, JPEG), "a", "label 16777216"),
        (Record("a/1", 0, b""), "a", "empty"),
        (Record("a/1", 7, JPEG), "a", "label 7 is another person's"),
        (Record("a/1", 0, b"\0" * ((1 << 27) + 1)), "a", "one record may hold"),
    ],
)
def test_what_the_format_cannot_hold_leaves_the_files_as_they_were(
    tmp_path: Path, record: Record, person: str, reason: str
) -> None:
    records = somebody([7, 8])
    with RecWriter(tmp_path) as writer:
        writer.write(records[0], "p007")
        with pytest.raises(DataError, match=reason):
            writer.write(record, person)
        writer.write(records[1], "p008")
    assert list(every_record(RecReader(tmp_path))) == [record._replace(label=i) for i, record in enumerate(records)]


def test_more_than_float32_counts_are_refused(tmp_path: Path) -> None:
    with RecWriter(tmp_path) as writer:
        writer.written = (1 << 24) - 2
        with pytest.raises(DataError, match="write several"):
            writer.write(somebody([0])[0], "p000")
        writer.written = 0


def test_an_existing_target_is_not_touched(tmp_path: Path) -> None:
    write(tmp_path, somebody([0]))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(DataError, match=r"train.rec exists; .*resume"):
        RecWriter(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_leaving_by_an_exception_leaves_something_to_resume(tmp_path: Path) -> None:
    records = somebody([0, 0, 1])

    def stop() -> None:
        with RecWriter(tmp_path) as writer:
            for record in records[:2]:
                writer.write(record, "p000")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert not (tmp_path / "property").exists()
    assert RecWriter(tmp_path, resume=True).written == 2
    write(tmp_path, records, resume=True)
    assert list(every_record(RecReader(tmp_path))) == records


@settings(max_examples=60)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    complete=st.booleans(),
    kept=st.tuples(*[st.floats(0, 1)] * 3),
)
def test_whatever_a_crash_left_is_continued_to_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, labels: list[int], complete: bool, kept: tuple[float, float, float]
) -> None:
    root = tmp_path_factory.mktemp("rec")
    records = somebody(labels, image=JPEG + MAGIC * 2)
    whole = write(root / "whole", records)
    cut = root / "cut"
    if complete:
        shutil.copytree(whole, cut)
    else:
        with RecWriter(cut) as writer:  # as it is before `close`
            for record in records:
                writer.write(record, record.name.split("/")[0])
            writer.checkpoint()
            shutil.copytree(cut, root / "open")
        shutil.rmtree(cut)
        (root / "open").rename(cut)
    for name, share in zip(("train.rec", "train.idx", "train.lst"), kept, strict=True):
        size = round((cut / name).stat().st_size * share)
        os.truncate(cut / name, size)
    refusal = None
    try:
        write(cut, records, resume=True)
    except DataError as e:
        refusal = str(e)
    if refusal is not None:  # of the .rec nothing is whole, and of the others something is
        assert "not begun by this writer" in refusal
        return
    for name in ("train.rec", "train.idx", "train.lst"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_resuming_what_is_not_there_begins_it(tmp_path: Path) -> None:
    records = somebody([0, 1])
    write(tmp_path / "new" / "deep", records, resume=True)
    assert list(every_record(RecReader(tmp_path / "new" / "deep"))) == records


@pytest.mark.parametrize("made", [["train.lst"], ["train.lst", "train.idx"], ["train.lst", "train.idx", "train.rec"]])
def test_resuming_what_was_only_made_begins_it(tmp_path: Path, made: list[str]) -> None:
    for name in made:
        (tmp_path / name).touch()
    records = somebody([0, 1])
    assert list(every_record(RecReader(write(tmp_path, records, resume=True)))) == records


def test_resuming_what_is_complete_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, somebody([0, 0, 1]))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with RecWriter(tmp_path, resume=True) as writer:
        assert writer.written == 3
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"train.rec": b"x", "train.idx": b"1\t0\n"}, "no train.lst"),
        ({"train.lst": b"0\t0\ta/b.jpg\n"}, "no train.rec"),
        ({"train.rec": b"x", "train.idx": b"0\t0\n", "train.lst": b"0\t0\ta/b\n"}, "not begun by this writer"),
        ({"train.rec": b"x", "train.idx": b"1\t0\n", "train.lst": b"1\t/a/b\t0\n"}, "not begun by this writer"),
    ],
)
def test_what_others_made_is_not_continued_and_not_cut(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason):
        RecWriter(tmp_path, resume=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == files


def test_zeros_that_a_power_cut_left_are_no_records(tmp_path: Path) -> None:
    records = somebody([0, 0, 1])
    write(tmp_path, records)
    content = (tmp_path / "train.rec").read_bytes()
    (tmp_path / "train.rec").write_bytes(content[:36].ljust(len(content), b"\0"))
    assert RecWriter(tmp_path, resume=True).written == 1


def test_what_was_written_is_in_the_files_without_a_checkpoint(tmp_path: Path) -> None:
    writer = RecWriter(tmp_path)
    for record in somebody([0] * 6, image=JPEG + bytes(1 << 20)):
        writer.write(record, "p000")
    shutil.copytree(tmp_path, tmp_path / "as it is")
    assert RecWriter(tmp_path / "as it is", resume=True).written >= 4


def test_a_full_disk_stops_the_writer_for_good(tmp_path: Path) -> None:
    records = somebody([0] * 4, image=JPEG + bytes(3 << 20))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = RecWriter(tmp_path)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, hard))
        writer.write(records[0], "p000")
        with pytest.raises(OSError, match="File too large"):
            writer.write(records[1], "p000")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for attempt in (lambda: writer.write(records[2], "p000"), writer.checkpoint, writer.close):
        with pytest.raises(OSError, match="File too large"):  # and no DataError, which is one record's
            attempt()
    write(tmp_path, records, resume=True)
    assert list(every_record(RecReader(tmp_path))) == records


def test_nothing_is_written_after_closing(tmp_path: Path) -> None:
    write(tmp_path, somebody([0]))
    writer = RecWriter(tmp_path, resume=True)
    writer.close()
    writer.close()
    with pytest.raises(DataError, match="the writer is closed"):
        writer.write(somebody([0])[0], "p000")


def test_where_no_folder_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        RecWriter(tmp_path / "file" / "folder")


MEMORY = """
import resource, sys
from occmask.records.recordio.writer import RecWriter
from occmask.records.record import Record

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

with RecWriter(sys.argv[1]) as writer:
    for i in range(150_000):
        person = f"person {i // 2}"
        writer.write(Record(f"{person}/{i}.jpg", i // 2, b"picture"), person)
        if i == 50_000:
            before = peak()
    print((peak() - before) / 100_000)
"""


def test_a_record_costs_the_writer_a_few_bytes(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert float(run.stdout) < 60  # 1,000,000 records in 60 MB, buffers included
