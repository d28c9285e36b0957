"""LMDBs: read from their pages, compared with what liblmdb wrote and reads; truncated, damaged and foreign ones."""

from __future__ import annotations

import builtins
import os
import pickle
import random
import struct
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occmask.errors import DataError
from occmask.records.lmdbs.pages import is_lmdb
from occmask.records.lmdbs.reader import LmdbReader
from occmask.records.lmdbs.writer import LmdbWriter
from occmask.records.record import Record, every_record

lmdb = pytest.importorskip("lmdb")
PAGE = 4096


def database(path: Path, contents: dict[bytes, bytes], **options: Any) -> Path:
    environment = lmdb.open(str(path), map_size=1 << 26, **options)
    with environment.begin(write=True) as transaction:
        for key, value in contents.items():
            transaction.put(key, value)
    environment.close()
    return path


def contents_of(reader: LmdbReader) -> dict[str, bytes]:
    return {record.name: record.image for record in every_record(reader)}


def faces(count: int, seed: int = 0) -> dict[str, bytes]:
    rng = random.Random(seed)
    sizes = (1, 50, 900, 2030, 2100, 4080, 4081, 9000)
    return {f"p-{rng.randrange(20)}/{i:04d}.jpg": rng.randbytes(rng.choice(sizes)) for i in range(count)}


def write(path: Path, records: dict[str, bytes]) -> Path:
    with LmdbWriter(path) as writer:
        for name, image in records.items():
            writer.write(Record(name, 0, image), name.split("/")[0])
    return path


@settings(max_examples=12)
@given(st.integers(1, 700), st.integers(0, 1 << 30), st.booleans())
def test_what_liblmdb_wrote_and_changed_is_read(count: int, seed: int, one_file: bool) -> None:
    rng = random.Random(seed)
    records = faces(count, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        environment = lmdb.open(str(path), map_size=1 << 26, subdir=not one_file)
        for _ in range(3):  # free pages, half-full leaves, pages out of order
            with environment.begin(write=True) as transaction:
                for name, image in records.items():
                    transaction.put(name.encode(), image)
                gone = rng.sample(sorted(records), len(records) // 4)
                for name in gone:
                    transaction.delete(name.encode())
        environment.close()
        left = {name: image for name, image in records.items() if name not in gone}
        reader = LmdbReader(path)
        assert contents_of(reader) == left
        assert [reader.name(i) for i in range(len(reader))] == sorted(left, key=lambda name: name.split("/"))
        assert [reader.people[label] for label in reader.labels] == [name.split("/")[0] for name in contents_of(reader)]
        assert list(reader.people) == sorted(reader.people)
        assert reader.skipped == []


def test_liblmdb_reads_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occmask.records.lmdbs.writer._FIRST_MAP_SIZE", 1 << 15)  # it grows several times
    monkeypatch.setattr("occmask.records.lmdbs.writer._BATCH_RECORDS", 100)
    records = faces(900) | {"b\u00f6rje/\udcff.jpg": b"x", "l" * 255 + "/" + "x" * 255: b"the longest key"}
    path = write(tmp_path / "x.lmdb", records)
    with lmdb.open(str(path), readonly=True, lock=False).begin() as transaction:
        found = {key.decode("utf-8", "surrogateescape"): value for key, value in transaction.cursor()}
    assert found == records
    assert contents_of(LmdbReader(path)) == records


def test_the_map_grows_within_one_transaction_and_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in range(40, 60, 2):  # pages; somewhere among them the commit itself lacks one
        monkeypatch.setattr("occmask.records.lmdbs.writer._FIRST_MAP_SIZE", size * PAGE)
        records = {f"a/{i}.jpg": bytes(3000) for i in range(42)}
        assert contents_of(LmdbReader(write(tmp_path / str(size), records))) == records


def test_resuming_continues_after_what_was_committed(tmp_path: Path) -> None:
    records = faces(50)
    writer = LmdbWriter(tmp_path / "x.lmdb")
    for number, (name, image) in enumerate(records.items()):
        writer.write(Record(name, 0, image), name.split("/")[0])
        if number == 29:
            writer.checkpoint()
    writer.checkpoint()
    writer.write(Record("p/lost.jpg", 0, b"x"), "p")
    writer.leave()
    with pytest.raises(DataError, match="exists already"):
        LmdbWriter(tmp_path / "x.lmdb")
    with LmdbWriter(tmp_path / "x.lmdb", resume=True) as writer:
        assert writer.written == 50
        writer.write(Record("p/found.jpg", 0, b"x"), "p")
    assert contents_of(LmdbReader(tmp_path / "x.lmdb")) == records | {"p/found.jpg": b"x"}


def test_an_error_loses_what_was_not_committed_only(tmp_path: Path) -> None:
    def stop() -> None:
        with LmdbWriter(tmp_path / "x.lmdb") as writer:
            writer.write(Record("a/1.jpg", 0, b"x"), "a")
            writer.checkpoint()
            writer.write(Record("a/2.jpg", 0, b"x"), "a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert contents_of(LmdbReader(tmp_path / "x.lmdb")) == {"a/1.jpg": b"x"}


def test_names_that_are_taken_or_too_long_are_refused_and_the_rest_is_kept(tmp_path: Path) -> None:
    with LmdbWriter(tmp_path / "x.lmdb") as writer:
        writer.write(Record("a/1.jpg", 0, b"first"), "a")
        with pytest.raises(DataError, match="a second record of that name"):
            writer.write(Record("a/1.jpg", 0, b"second"), "a")
        writer._longest = 20
        with pytest.raises(DataError, match="26 bytes are longer than an LMDB key, 20"):
            writer.write(Record("a/" + "x" * 20 + ".jpg", 0, b"x"), "a")
        with pytest.raises(DataError, match="not a name like"):
            writer.write(Record("../a/1.jpg", 0, b"x"), "..")
        assert writer.written == 1
    assert contents_of(LmdbReader(tmp_path / "x.lmdb")) == {"a/1.jpg": b"first"}


def test_an_error_of_the_disk_is_no_refusal_of_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def put(self, *_: Any, **__: Any) -> bool:
            raise lmdb.DiskError("No space left on device")

        def commit(self) -> None:
            raise lmdb.DiskError("No space left on device")

        def abort(self) -> None: ...

    writer = LmdbWriter(tmp_path / "x.lmdb")
    writer._transaction = Broken()
    with pytest.raises(OSError, match="No space left"):
        writer.write(Record("a/1.jpg", 0, b"x"), "a")
    with pytest.raises(OSError, match="No space left"):
        writer.checkpoint()
    writer.leave()


def test_without_the_package_writing_names_the_extra_and_reading_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.lmdb", {"a/1.jpg": b"x"})
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "lmdb":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DataError, match=r"pip install 'occmask\[lmdb\]'"):
        LmdbWriter(tmp_path / "y.lmdb")
    assert contents_of(LmdbReader(path)) == {"a/1.jpg": b"x"}


def test_a_database_of_python_objects_says_what_it_is_and_how_to_convert_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occmask.records.reading.MOST_SKIPPED", 10)
    numbers = {b"%d" % number: b"serialized" for number in range(2000)}
    path = database(tmp_path / "x", {**numbers, b"__keys__": b"serialized", b"__len__": b"serialized"})
    with pytest.raises(DataError, match=r"pyarrow\.serialize.*pip install 'pyarrow<12'"):
        LmdbReader(path)


def test_keys_that_are_no_names_and_databases_inside_are_skipped(tmp_path: Path) -> None:
    path = database(tmp_path / "x", {b"a/1.jpg": b"x", b"../1.jpg": b"x", b"1": b"x", b"a/2.jpg": b""}, max_dbs=2)
    environment = lmdb.open(str(path), max_dbs=2)
    environment.open_db(b"inner")
    environment.close()
    reader = LmdbReader(path)
    assert contents_of(reader) == {"a/1.jpg": b"x"}
    assert sorted(s.reason for s in reader.skipped) == [
        "a database inside the database",
        "a name that begins with a dot",
        "empty",
        "not a name like person/picture.jpg",
    ]


def test_several_values_for_a_key_are_refused(tmp_path: Path) -> None:
    environment = lmdb.open(str(tmp_path / "x"), max_dbs=1)
    environment.close()
    data = bytearray((tmp_path / "x" / "data.mdb").read_bytes())
    for page in (0, PAGE):
        data[page + 16 + 24 + 48 + 4] |= 4  # MDB_DUPSORT of the main tree
    (tmp_path / "x" / "data.mdb").write_bytes(data)
    with pytest.raises(DataError, match="several values for a key"):
        LmdbReader(tmp_path / "x")


def test_empty_and_foreign_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures; expected an LMDB"):
        LmdbReader(database(tmp_path / "empty", {}))
    foreign = tmp_path / "foreign.mdb"
    foreign.write_bytes(b"something else" * 1000)
    with pytest.raises(DataError, match="not an LMDB data file"):
        LmdbReader(foreign)
    with pytest.raises(DataError, match="no such file"):
        LmdbReader(tmp_path / "nowhere")
    foreign.write_bytes(bytes(16) + b"\xbe\xef\xc0\xde" + bytes(8192))
    with pytest.raises(DataError, match="32-bit or big-endian"):
        LmdbReader(foreign)
    assert not is_lmdb(foreign)
    (tmp_path / "foreign").mkdir()
    foreign.rename(tmp_path / "foreign" / "data.mdb")
    with pytest.raises(DataError, match="nothing to resume"):
        LmdbWriter(tmp_path / "foreign", resume=True)


def spoiled(path: Path, change: bytes, offset: int) -> Path:
    data = path / "data.mdb"
    content = bytearray(data.read_bytes())
    content[offset : offset + len(change)] = change
    data.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("offset", "change", "expected"),
    [
        (16 + 4, b"\x02", "another version"),
        (PAGE, b"\x05", "its page 1 is no meta page"),
        (PAGE + 10, b"\0", "its page 1 is no meta page"),
        (16 + 24, struct.pack("<I", 5000), "5000 bytes"),
        (PAGE + 16 + 24, struct.pack("<I", 8192), "different page sizes"),
    ],
)
def test_damaged_first_pages_are_told(offset: int, change: bytes, expected: str, tmp_path: Path) -> None:
    path = spoiled(database(tmp_path / "x", {b"a/1.jpg": b"x"}), change, offset)
    with pytest.raises(DataError, match=expected):
        LmdbReader(path)


def test_a_file_cut_anywhere_in_its_first_pages_is_told(tmp_path: Path) -> None:
    path = database(tmp_path / "x", {b"a/1.jpg": b"x"})
    for size in range(20, PAGE + 200):
        os.truncate(path / "data.mdb", PAGE + 220 - size)
        with pytest.raises(DataError, match=r"truncated|not an LMDB"):
            LmdbReader(path)


def tree_page(path: Path, flag: int) -> int:
    """The offset of the last page of that kind."""
    data = (path / "data.mdb").read_bytes()
    offsets = range(2 * PAGE, len(data), PAGE)
    return [o for o in offsets if struct.unpack_from("<QHH", data, o)[::2] == (o // PAGE, flag)][-1]


def test_a_damaged_page_costs_its_records_and_is_told(tmp_path: Path) -> None:
    records = faces(600)
    path = write(tmp_path / "x", records)
    spoiled(path, b"\xff\xff", tree_page(path, 2) + 12)
    reader = LmdbReader(path)
    assert 0 < len(reader) < 600
    assert contents_of(reader).items() <= records.items()
    assert [s.reason for s in reader.skipped] == ["damaged"]


def test_a_tree_with_a_loop_is_walked_once(tmp_path: Path) -> None:
    path = write(tmp_path / "x", faces(600))
    branch = tree_page(path, 1)
    data = (path / "data.mdb").read_bytes()
    place = struct.unpack_from("<H", data, branch + 16)[0]
    spoiled(path, struct.pack("<HHH", branch // PAGE, 0, 0), branch + place)
    reader = LmdbReader(path)
    assert "a second time" in reader.skipped[0].reason


def test_values_that_together_exceed_the_file_are_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "x", {f"a/{i:03d}.jpg": bytes(40_000) for i in range(20)})
    data = bytearray((path / "data.mdb").read_bytes())
    leaf = tree_page(path, 2)
    first = struct.unpack_from("<H", data, leaf + 16)[0]
    for number in range(20):  # every record has the value of the first, made as large as the file allows
        place = leaf + struct.unpack_from("<H", data, leaf + 16 + 2 * number)[0]
        big = int.from_bytes(data[leaf + first + 8 + 9 : leaf + first + 8 + 17], "little")
        size = len(data) - big * PAGE - 16
        struct.pack_into("<HH", data, place, size & 0xFFFF, size >> 16)
        data[place + 8 + 9 : place + 8 + 17] = big.to_bytes(8, "little")
        struct.pack_into("<I", data, big * PAGE + 12, 1 << 20)
    (path / "data.mdb").write_bytes(data)
    reader = LmdbReader(path)
    assert len(reader) < 20
    assert "larger than the file" in reader.skipped[-1].reason


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_file_gives_what_is_there_and_tells_the_rest(share: float, tmp_path: Path) -> None:
    records = faces(300)
    path = write(tmp_path / "x", records)
    environment = lmdb.open(str(path))
    with environment.begin(write=True) as transaction:  # the tree's pages are now before the new value
        transaction.put(b"z/1.jpg", bytes(1 << 20))
    environment.close()
    os.truncate(path / "data.mdb", int(share * (path / "data.mdb").stat().st_size))
    try:
        reader = LmdbReader(path)
    except DataError as e:
        reader, told = None, str(e)
    else:
        told = "; ".join(s.reason for s in reader.skipped)
        assert contents_of(reader).items() <= records.items()
    assert "truncated" in told


def test_a_count_that_is_wrong_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x", {"a/1.jpg": b"x"})
    for page in (0, PAGE):
        spoiled(path, b"\x09", page + 16 + 24 + 48 + 32)
    assert "1 of 9 records found" in LmdbReader(path).skipped[0].reason


def test_a_reader_is_pickled_and_closes_its_files(tmp_path: Path) -> None:
    records = faces(20)
    reader = LmdbReader(write(tmp_path / "x", records))
    assert contents_of(reader) == records
    again = pickle.loads(pickle.dumps(reader))
    before = len(os.listdir("/proc/self/fd"))
    assert contents_of(again) == records
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del again
    assert len(os.listdir("/proc/self/fd")) == before
