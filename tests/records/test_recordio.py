"""RecordIO: the bytes are those of the format's description, whatever a record holds, and come back exactly."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import DataError
from occmask.records.random_access import RandomAccessFile
from occmask.records.recordio.framing import MAX_PARTS, frame, read_beginning, read_record, record_end

MAGIC = bytes.fromhex("0a23d7ce")  # 0xced7230a, little-endian
PAYLOADS = st.lists(st.one_of(st.binary(max_size=9), st.just(MAGIC), st.just(MAGIC[:3])), max_size=12).map(b"".join)


def described(payload: bytes) -> bytes:
    """A record from the description alone: word by word, cut where a word is the magic one."""
    words = [payload[i : i + 4] for i in range(0, len(payload), 4)]
    pieces = [b""]
    for word in words:
        if word == MAGIC:
            pieces.append(b"")
        else:
            pieces[-1] += word
    stored = b""
    for number, piece in enumerate(pieces):
        flag = 0 if len(pieces) == 1 else 1 if number == 0 else 3 if number == len(pieces) - 1 else 2
        stored += MAGIC + struct.pack("<I", (flag << 29) + len(piece)) + piece
        while len(stored) % 4:
            stored += b"\0"
    return stored


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordio") / "any.rec"


@given(st.lists(PAYLOADS, min_size=1, max_size=6), st.integers(1, 40))
def test_records_read_back_exactly_one_after_the_other(path: Path, payloads: list[bytes], count: int) -> None:
    path.write_bytes(b"".join(map(described, payloads)))
    file, offset = RandomAccessFile(path), 0
    for payload in payloads:
        assert read_record(file, offset) == payload
        assert read_beginning(file, offset, count) == payload[:count]
        offset = record_end(file, offset)
    assert offset == file.size


@given(PAYLOADS)
def test_a_record_is_stored_as_described(payload: bytes) -> None:
    assert frame(payload) == described(payload)


def test_a_split_record_holds_the_magic_word_between_its_parts() -> None:
    first = MAGIC + struct.pack("<I", 1 << 29 | 4) + b"abcd"
    last = MAGIC + struct.pack("<I", 3 << 29 | 2) + b"ef\0\0"
    assert frame(b"abcd" + MAGIC + b"ef") == first + last


def test_a_record_longer_than_one_reading_is_read_whole(path: Path) -> None:
    payload = bytes(range(256)) * 400
    path.write_bytes(described(payload) + described(b"next"))
    file = RandomAccessFile(path)
    assert read_record(file, 0) == payload
    assert read_record(file, record_end(file, 0)) == b"next"


WHOLE, FIRST, MIDDLE, LAST = (MAGIC + struct.pack("<I", flag << 29 | 4) + b"abcd" for flag in range(4))


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (WHOLE[:7], "truncated"),
        (WHOLE[:10], "truncated"),
        (FIRST + LAST[:10], "truncated"),
        (FIRST + WHOLE, "not continued"),
        (FIRST, "truncated"),
        (MIDDLE + LAST, "a later part"),
        (LAST, "a later part"),
        (b"\0" * 12, "no record begins"),
        (MAGIC + struct.pack("<I", 5 << 29 | 4) + b"abcd", "no record begins"),
        (MAGIC + struct.pack("<I", (1 << 29) - 1) + b"abcd", "at most"),
        (FIRST + MIDDLE * MAX_PARTS + LAST, "parts"),
    ],
)
def test_what_is_no_record_says_why(path: Path, stored: bytes, reason: str) -> None:
    path.write_bytes(stored)
    for read in (read_record, record_end):
        with pytest.raises(DataError, match=reason):
            read(RandomAccessFile(path), 0)


def test_a_record_that_the_reader_would_refuse_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="parts"):
        frame(MAGIC * MAX_PARTS)
    monkeypatch.setattr("occmask.records.recordio.framing.MAX_PAYLOAD", 8)
    with pytest.raises(DataError, match="9 bytes"):
        frame(b"123456789")


def test_parts_that_are_small_one_by_one_may_be_too_much_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occmask.records.recordio.framing.MAX_PAYLOAD", 15)
    path.write_bytes(FIRST + MIDDLE + LAST)
    with pytest.raises(DataError, match="more than 15 bytes"):
        read_record(RandomAccessFile(path), 0)
