"""Tar shards: our layout and WebDataset's, from several writers; what is no picture is told."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occmask.errors import DataError, OptionError
from occmask.records import extents, random_access, reading
from occmask.records.random_access import RandomAccessFile
from occmask.records.record import Record, every_record
from occmask.records.tarred.members import _MOST_ZEROS, members
from occmask.records.tarred.reader import TarReader
from occmask.records.tarred.writer import TarWriter

NAMES = ["ann/1.jpg", "bob/1.jpg", "ann/2.jpg", "cyd/" + "long" * 40 + ".jpg", "b\u00f6rje/\u00e9.png"]


def tar_of(path: Path, contents: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in contents.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return path


def contents_of(reader: TarReader) -> dict[str, bytes]:
    return {record.name: record.image for record in every_record(reader)}


def write(path: Path, count: int, **options: int) -> dict[str, bytes]:
    records = {f"p{i % 3}/{i}.jpg": bytes([i]) * (i * 300 + 1) for i in range(count)}
    with TarWriter(path, **options) as writer:
        for name, image in records.items():
            writer.write(Record(name, 0, image), name.split("/")[0])
    return records


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_wrote_is_read(format: int, tmp_path: Path) -> None:
    names = NAMES if format != tarfile.USTAR_FORMAT else NAMES[:3] + ["p" * 100 + "/" + "x" * 60 + ".jpg"]
    written = {name: os.urandom(10 + 700 * index) for index, name in enumerate(names)}
    reader = TarReader(tar_of(tmp_path / "x.tar", written, format))
    assert contents_of(reader) == written
    assert [reader.name(index) for index in range(len(reader))] == names
    assert list(reader.people) == sorted({name.split("/")[0] for name in names})
    assert [reader.people[label] for label in reader.labels] == [name.split("/")[0] for name in names]
    assert reader.skipped == []


def test_python_reads_what_is_written(tmp_path: Path) -> None:
    names = ["a/1.jpg", "b/\udcff\u00e9.jpg", "c/" + "x" * 200 + ".jpg"]
    with TarWriter(tmp_path / "x.tar") as writer:
        for name in names:
            writer.write(Record(name, 0, name.encode("utf-8", "surrogateescape")), name[0])
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert archive.getnames() == names
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            assert file.read() == member.name.encode("utf-8", "surrogateescape")
    assert list(contents_of(TarReader(tmp_path / "x.tar"))) == names


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=1, max_size=1500), min_size=1, max_size=8), st.integers(1, 4000))
def test_shards_hold_all_in_order_and_are_no_larger_than_asked(images: list[bytes], shard_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with TarWriter(Path(folder) / "s", shard_bytes=shard_bytes) as writer:
            for number, image in enumerate(images):
                writer.write(Record(f"p/{number}.jpg", 0, image), "p")
        reader = TarReader(Path(folder) / "s")
        assert [record.image for record in every_record(reader)] == images
        assert reader.skipped == []
        for shard in (Path(folder) / "s").iterdir():
            with tarfile.open(shard) as archive:
                assert shard.stat().st_size <= max(shard_bytes, 10240) or len(archive.getnames()) == 1


def test_shards_of_so_many_records(tmp_path: Path) -> None:
    written = write(tmp_path / "s", 10, shard_records=4)
    assert sorted(os.listdir(tmp_path / "s")) == ["000000.tar", "000001.tar", "000002.tar"]
    assert contents_of(TarReader(tmp_path / "s")) == written
    with pytest.raises(OptionError, match="at least one byte and one record"):
        TarWriter(tmp_path / "t", shard_records=0)


def test_the_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", 5)
    write(tmp_path / "b.tar", 5)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@pytest.mark.parametrize("cut", [1, 300, 511, 512, 513, 1024, 1100, 2000, 4000, 9000])
@pytest.mark.parametrize("target", ["x.tar", "s"])
def test_a_writer_that_was_stopped_anywhere_is_continued_with_the_same_bytes(
    target: str, cut: int, tmp_path: Path
) -> None:
    records = write(tmp_path / "whole" / "s", 10, shard_records=4) if target == "s" else {}
    records = records or write((tmp_path / "whole.tar"), 10)
    writer = TarWriter(tmp_path / target, shard_records=4)
    for name, image in list(records.items())[:6]:
        writer.write(Record(name, 0, image), name.split("/")[0])
    writer.leave()
    stopped = tmp_path / "x.tar" if target == "x.tar" else tmp_path / "s" / "000001.tar.unfinished"
    os.truncate(stopped, min(cut, stopped.stat().st_size))
    with TarWriter(tmp_path / target, resume=True, shard_records=4) as resumed:
        assert resumed.written <= 6
        for name, image in list(records.items())[resumed.written :]:
            resumed.write(Record(name, 0, image), name.split("/")[0])
        assert resumed.written == 10
    expected = tmp_path / ("whole.tar" if target == "x.tar" else "whole/s")
    for shard in [expected] if expected.is_file() else expected.iterdir():
        again = tmp_path / target if expected.is_file() else tmp_path / target / shard.name
        assert again.read_bytes() == shard.read_bytes()


def test_an_error_leaves_an_archive_that_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    def stop(path: Path) -> None:
        with TarWriter(path) as writer:
            writer.write(Record("a/1.jpg", 0, b"x"), "a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop(tmp_path / "x.tar")
    assert "no end mark" in TarReader(tmp_path / "x.tar").skipped[0].reason
    with pytest.raises(KeyboardInterrupt):
        stop(tmp_path / "s")
    with pytest.raises(DataError, match=r"no \.tar files"):
        TarReader(tmp_path / "s")
    write(tmp_path / "t", 1)
    (tmp_path / "t" / "000001.tar.unfinished").touch()
    assert "not finished" in TarReader(tmp_path / "t").skipped[0].reason


def test_an_archive_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "x.tar", 1)
    with pytest.raises(DataError, match="exists already"):
        TarWriter(tmp_path / "x.tar")


def test_webdataset_samples_are_read(tmp_path: Path) -> None:
    first = {}
    for number, label in enumerate([9, 10, 9]):
        key = f"train/{number:04d}"
        first |= {f"{key}.json": b"{}", f"{key}.jpg": b"picture %d" % number, f"{key}.cls": b"%d\n" % label}
    tar_of(tmp_path / "0.tar", first)
    second = {
        "0.cls": b"10",
        "0.left.png": b"left",
        "1.jpg": b"no label",
        "2.cls": b"7",
        "3.jpg": b"x",
        "3.cls": b"../x",
    }
    second |= {"4.jpg": b"one", "4.png": b"two", "4.cls": b"9", ".5.jpg": b"hidden", "6.jpg": b"x", "6.cls": b"\xff"}
    tar_of(tmp_path / "1.tar", second)
    reader = TarReader(tmp_path)
    assert contents_of(reader) == {
        "9/train_0000.jpg": b"picture 0",
        "10/train_0001.jpg": b"picture 1",
        "9/train_0002.jpg": b"picture 2",
        "10/0.left.png": b"left",
        "9/4.jpg": b"one",
        "\ufffd/6.jpg": b"x",
    }
    assert set(reader.people) == {"9", "10", "\ufffd"}
    reasons = {s.source.rpartition(": ")[2]: s.reason for s in reader.skipped}
    assert reasons["1"] == "a sample without a .cls"
    assert reasons["2"] == "a sample without a picture"
    assert "not a name like" in reasons["3.jpg"]
    assert reasons["4.png"] == "a second picture of one sample"


def test_numbered_people_of_webdataset_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    contents = {}
    for number in range(12):
        contents |= {f"{number}.cls": b"%d" % number, f"{number}.jpg": b"x"}
    reader = TarReader(tar_of(tmp_path / "x.tar", contents))
    assert reader.labels.tolist() == list(range(12))


def test_links_devices_and_hostile_names_are_skipped_and_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in [
            ("./ann/1.jpg", tarfile.REGTYPE),
            ("ann", tarfile.DIRTYPE),
            ("ann/link.jpg", tarfile.SYMTYPE),
            ("ann/hard.jpg", tarfile.LNKTYPE),
            ("ann/dev.jpg", tarfile.CHRTYPE),
            ("ann/pipe.jpg", tarfile.FIFOTYPE),
            ("ann/odd.jpg", b"Z"),
            ("../../x.jpg", tarfile.REGTYPE),
            ("/etc/passwd", tarfile.REGTYPE),
            ("top/ann/1.jpg", tarfile.REGTYPE),
            ("ann/1.jpg", tarfile.REGTYPE),
            ("ann/.DS_Store", tarfile.REGTYPE),
        ]:
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, "1.jpg"
            header.size = 3 if kind in (tarfile.REGTYPE, b"Z") else 0
            archive.addfile(header, io.BytesIO(b"abc"))
        archive.addfile(tarfile.TarInfo("ann/empty.jpg"))
    reader = TarReader(tmp_path / "x.tar")
    assert contents_of(reader) == {"ann/1.jpg": b"abc"}
    assert [(s.source.partition(": ")[2], s.reason) for s in reader.skipped] == [
        ("ann/link.jpg", "a symbolic link"),
        ("ann/hard.jpg", "a hard link"),
        ("ann/dev.jpg", "a device"),
        ("ann/pipe.jpg", "a pipe"),
        ("ann/odd.jpg", "not a regular file"),
        ("../../x.jpg", "not a name like person/picture.jpg"),
        ("/etc/passwd", "not a name like person/picture.jpg"),
        ("top/ann/1.jpg", "not a name like person/picture.jpg"),
        ("ann/1.jpg", "a second record of that name"),
        ("ann/empty.jpg", "empty"),
    ]


@pytest.mark.parametrize("size", [100, 512, 600, 1024, 1100, 1536, 2000])
def test_a_truncated_archive_gives_what_is_whole_and_says_so(size: int, tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "x.tar", {"a/1.jpg": b"x" * 500, "a/2.jpg": b"y" * 500})
    os.truncate(whole, size)
    expected = sum(end <= size for end in (512 + 500, 1536 + 500))
    if expected == 0:
        with pytest.raises(DataError, match="truncated"):
            TarReader(whole)
        return
    reader = TarReader(whole)
    assert len(reader) == expected
    assert len(reader.skipped) == 1
    assert "truncated" in reader.skipped[0].reason


def test_joined_archives_are_read_to_the_end(tmp_path: Path) -> None:
    one = tar_of(tmp_path / "1.tar", {"a/1.jpg": b"x"}).read_bytes()
    two = tar_of(tmp_path / "2.tar", {"a/2.jpg": b"y"}).read_bytes()
    (tmp_path / "x.tar").write_bytes(one + two)
    assert list(contents_of(TarReader(tmp_path / "x.tar"))) == ["a/1.jpg", "a/2.jpg"]
    (tmp_path / "x.tar").write_bytes(one + bytes(_MOST_ZEROS) + two)
    reader = TarReader(tmp_path / "x.tar")
    assert "the rest is not read" in reader.skipped[0].reason


@pytest.mark.parametrize(
    ("data", "program"),
    [(b"\x1f\x8b", "gunzip"), (b"BZh9", "bunzip2"), (b"\xfd7zXZ\0", "unxz"), (b"\x28\xb5\x2f\xfd", "unzstd")],
)
def test_a_compressed_archive_says_how_to_decompress_it(data: bytes, program: str, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(data + bytes(2000))
    with pytest.raises(DataError, match=program):
        TarReader(tmp_path / "x.tar.gz")


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no archive " * 100)
    with pytest.raises(DataError, match="damaged header at byte 0"):
        TarReader(tmp_path / "x.tar")
    with pytest.raises(DataError, match="no such file"):
        TarReader(tmp_path / "y.tar")
    os.mkfifo(tmp_path / "z.tar")
    with pytest.raises(DataError, match="not a regular file"):
        TarReader(tmp_path / "z.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.tar files"):
        TarReader(tmp_path / "empty")


def test_gnu_sparse_files_and_bad_extended_headers_are_not_read_as_pictures(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name, headers in [
            ("a/sparse.jpg", {"GNU.sparse.major": "1"}),
            ("a/big.jpg", {"size": "x" * 30}),
            ("a/1.jpg", {}),
        ]:
            header = tarfile.TarInfo(name)
            header.size, header.pax_headers = 3, headers
            archive.addfile(header, io.BytesIO(b"abc"))
        long = tarfile.TarInfo("a/long.jpg")
        long.size, long.pax_headers = 3, {"comment": "x" * (1 << 20)}
        archive.addfile(long, io.BytesIO(b"abc"))
    reader = TarReader(tmp_path / "x.tar")
    assert list(contents_of(reader)) == ["a/1.jpg"]
    assert [s.reason for s in reader.skipped][:2] == ["a sparse file", "a damaged extended header"]
    assert "1048576 are read" in reader.skipped[2].reason


def test_a_size_of_a_binary_number_and_signed_checksums_are_read(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("a/\u00e9.jpg").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x80" + (3).to_bytes(11, "big")
    header[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in header)
    header[148:156] = b"%06o\0 " % signed
    (tmp_path / "x.tar").write_bytes(bytes(header) + b"abc".ljust(512, b"\0") + bytes(1024))
    assert contents_of(TarReader(tmp_path / "x.tar")) == {"a/\u00e9.jpg": b"abc"}
    header[124:136] = b"\xff" * 12  # minus one
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "x.tar").write_bytes(bytes(header) + bytes(2048))
    with pytest.raises(DataError, match="damaged header"):
        TarReader(tmp_path / "x.tar")


def test_a_picture_of_absurd_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extents, "MAX_IMAGE_BYTES", 1000)
    reader = TarReader(tar_of(tmp_path / "x.tar", {"a/1.jpg": b"x" * 1001, "a/2.jpg": b"x"}))
    assert [reader.name(0)] == ["a/2.jpg"]
    assert "1001 bytes" in reader.skipped[0].reason


def test_an_archive_of_nothing_but_rubbish_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_SKIPPED", 10)
    with pytest.raises(DataError, match="with 10 others before it"):
        TarReader(tar_of(tmp_path / "x.tar", {f"{number}.jpg": b"x" for number in range(20)}))


def test_an_archive_that_was_shortened_after_opening_is_an_error_of_the_record(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "x.tar", {"a/1.jpg": b"x" * 600, "a/2.jpg": b"y" * 600})
    reader = TarReader(path)
    os.truncate(path, 2048)
    assert reader[0].image == b"x" * 600
    with pytest.raises(DataError, match=r"a/2\.jpg: 0 of 600 bytes left"):
        reader[1]
    os.remove(path)
    with pytest.raises(DataError, match=r"a/1\.jpg: .*no such file"):
        pickle.loads(pickle.dumps(reader))[0]
    for index in (-1, 2):
        with pytest.raises(IndexError):
            reader[index]


def _read(reader: TarReader, queue: multiprocessing.Queue[object]) -> None:
    queue.put([record.image for record in every_record(reader)])


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_reader_works_in_another_process(method: str, tmp_path: Path) -> None:
    written = write(tmp_path / "s", 6, shard_records=2)
    reader = TarReader(tmp_path / "s")
    assert reader[5].image == written["p2/5.jpg"]
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_read, args=(pickle.loads(pickle.dumps(reader)), queue))
    process.start()
    assert queue.get(timeout=60) == list(written.values())
    process.join()


def test_more_shards_than_files_may_be_open_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_access, "KEPT_OPEN", 2)
    written = write(tmp_path / "s", 6, shard_records=1)
    reader = TarReader(tmp_path / "s")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert contents_of(reader) == written
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_members_are_where_python_finds_them(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "x.tar", {f"a/{'n' * (number * 30)}.jpg": b"x" * (number * 700) for number in range(1, 6)})
    found = list(members(RandomAccessFile(path)))
    with tarfile.open(path) as archive:
        assert [(m.name, m.offset, m.size) for m in found] == [(m.name, m.offset_data, m.size) for m in archive]
