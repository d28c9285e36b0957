"""Verification sets: every dialect is read exactly, nothing in them is run, and what is written InsightFace reads."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import DataError
from occmask.records.extension import extension_of
from occmask.records.formats import format_of
from occmask.records.pickled.reader import BinReader
from occmask.records.pickled.source import Blob, is_pickle
from occmask.records.pickled.writer import write_bin
from occmask.records.record import Record, every_record

JPEG = b"\xff\xd8\xff"
ODD = JPEG + b"\\x41'\"\n\r\t\\\\n\\" + bytes(range(256))  # whatever a text may have to escape
IMAGES = [*(JPEG + bytes([i]) for i in range(6)), ODD, b"\x89PNG\r\n\x1a\n"]
SAME = [True, False, True, False]


def saved(folder: Path, content: object) -> Path:
    """The pickled object, or the bytes themselves, as a file."""
    path = folder / "any.bin"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    return path


VARIANTS: dict[str, Any] = {
    "bytes and bools": (IMAGES, SAME),
    "a list of tuples": [tuple(IMAGES), tuple(SAME)],
    "integers for bools": (IMAGES, [int(value) for value in SAME]),
    "NumPy's bools": (IMAGES, [np.bool_(value) for value in SAME]),
    "NumPy's integers": (IMAGES, [np.int64(value) for value in SAME]),
    "an array of bools": (IMAGES, np.array(SAME)),
    "an array of integers": (IMAGES, np.array(SAME).astype(np.int32)),
    "arrays of bytes": ([np.frombuffer(image, np.uint8) for image in IMAGES], SAME),
    "arrays of bytes that may be written": ([np.frombuffer(image, np.uint8).copy() for image in IMAGES], SAME),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_protocol_of_python_3_is_read_exactly(tmp_path: Path, variant: str, protocol: int) -> None:
    reader = BinReader(saved(tmp_path, pickle.dumps(VARIANTS[variant], protocol)))
    assert list(reader.images) == IMAGES
    assert reader.same.tolist() == SAME
    assert reader.same.dtype == np.bool_


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_protocol_is_known_by_its_beginning(tmp_path: Path, variant: str, protocol: int) -> None:
    content = pickle.dumps(VARIANTS[variant], protocol)
    for dialect in (content, pickletools.optimize(content)):
        path = saved(tmp_path, dialect).rename(tmp_path / "lfw")
        assert is_pickle(path)
        assert format_of(path) == "bin"


@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_python_2_are_known_by_their_beginning(tmp_path: Path, protocol: int) -> None:
    assert is_pickle(saved(tmp_path, python_2(protocol)).rename(tmp_path / "lfw"))


@pytest.mark.parametrize(
    "text", ["", "(", "((a)/1.jpg,b/1.jpg,1\n", "(lp 1 2\n", "(l/1.jpg (l/2.jpg 1\n", "]/1.jpg\t1\n", "10\t300\n"]
)
def test_a_list_is_no_pickle(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    assert not is_pickle(tmp_path / "list.txt")
    assert format_of(tmp_path / "list.txt") == "list"
    assert not is_pickle(tmp_path)


def python_2(protocol: int) -> bytes:
    """What `cPickle.dump((images, same), file, protocol)` of Python 2 writes; its bytes are `str`."""
    memo = iter(range(100))
    if protocol == 0:
        strings = [b"S" + _repr_of_python_2(image) + b"\np%d\na" % next(memo) for image in IMAGES]
        bools = [b"I01\na" if value else b"I00\na" for value in SAME]
        return b"((lp90\n" + b"".join(strings) + b"(lp91\n" + b"".join(bools) + b"tp92\n."
    heads = [b"U%c" % len(image) if len(image) < 256 else b"T" + struct.pack("<i", len(image)) for image in IMAGES]
    strings = [head + image + b"q%c" % next(memo) for head, image in zip(heads, IMAGES, strict=True)]
    bools = [b"\x88" if value else b"\x89" for value in SAME]
    return b"\x80\x02]q\x50(" + b"".join(strings) + b"e]q\x51(" + b"".join(bools) + b"e\x86q\x52."


def _repr_of_python_2(content: bytes) -> bytes:
    short = {b"\\": b"\\\\", b"'": b"\\'", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
    quoted = [short.get(c, c if b" " <= c < b"\x7f" else b"\\x%02x" % c[0]) for c in (bytes([b]) for b in content)]
    return b"'" + b"".join(quoted) + b"'"


@pytest.mark.parametrize("protocol", [0, 2])
def test_the_dialect_of_python_2_is_read_exactly(tmp_path: Path, protocol: int) -> None:
    content = python_2(protocol)
    assert pickle.loads(content, encoding="bytes") == (IMAGES, SAME)  # it is the dialect that is meant
    reader = BinReader(saved(tmp_path, content))
    assert list(reader.images) == IMAGES
    assert reader.same.tolist() == SAME


def test_equal_pictures_are_one_record_and_genuine_pairs_one_person(tmp_path: Path) -> None:
    a, b, c, d, e = (JPEG + letter for letter in (b"a", b"b", b"c", b"d", b"e"))
    again = bytes(bytearray(b))  # the same bytes, pickled a second time
    reader = BinReader(saved(tmp_path, ([a, b, a, c, again, d, c, e], [True, False, True, True])))
    assert reader.left.tolist() == [0, 0, 1, 2]
    assert reader.right.tolist() == [1, 2, 3, 4]
    assert reader.people == ("0000", "0001")
    assert reader.labels.tolist() == [0, 0, 1, 0, 1]
    assert list(every_record(reader)) == [
        Record("0000/00000.jpg", 0, a),
        Record("0000/00001.jpg", 0, b),
        Record("0001/00002.jpg", 1, c),
        Record("0000/00003.jpg", 0, d),
        Record("0001/00004.jpg", 1, e),
    ]
    assert reader.images[4] == b
    assert reader.images[-2:] == [c, e]
    assert reader.skipped == ()
    for index in (-1, 5):
        with pytest.raises(IndexError):
            reader[index]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), min_size=1, max_size=20))
def test_pairs_lead_back_to_their_pictures(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int, bool]]
) -> None:
    images = [bytes([picture]) for left, right, _ in pairs for picture in (left, right)]
    reader = BinReader(saved(tmp_path_factory.mktemp("bin"), (images, [same for _, _, same in pairs])))
    assert [reader[i].image[0] for i in reader.left] == [left for left, _, _ in pairs]
    assert [reader[i].image[0] for i in reader.right] == [right for _, right, _ in pairs]
    assert len({record.image for record in every_record(reader)}) == len(reader)
    assert (reader.labels[reader.left] == reader.labels[reader.right])[reader.same].all()
    first = [reader.labels.tolist().index(label) for label in range(len(reader.people))]
    assert first == sorted(first)


def test_a_reader_is_sent_to_other_processes_by_its_path(tmp_path: Path) -> None:
    reader = BinReader(saved(tmp_path, (IMAGES, SAME)))
    assert list(every_record(pickle.loads(pickle.dumps(reader)))) == list(every_record(reader))


class Runs:
    """What a hostile pickle is made of."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


def test_nothing_in_the_file_is_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps(([Runs(canary), *IMAGES[1:]], SAME), protocol)
        with pytest.raises(DataError, match=r"refused, .* a request for '(posix|nt)\.system'"):
            BinReader(saved(tmp_path, content))
    assert not canary.exists()
    pickle.loads(content)
    assert canary.exists()  # it would have been


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "'os.system'"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "'__builtin__.eval'"),
        (b"cnumpy\nndarray\n(tR.", "made otherwise"),
        (b"cnumpy\nload\n.", "'numpy.load'"),
        (b"(S'true'\nios\nsystem\n.", "opcode b'i'"),
        (b"(cos\nsystem\nS'true'\no.", "opcode b'o'|'os.system'"),
        (b"Pid\n.", "opcode b'P'"),
        (b"NQ.", "opcode b'Q'"),
        (b"\x82\x01.", "opcode"),
        (b"\x97.", "opcode"),
        (b"\x8b\xff\xff\xff\x7f1.", "opcode"),
        (b"}.", "opcode"),
        (b"\x8e" + b"\xff" * 8 + b".", "truncated"),
        (b"B\xff\xff\xff\x7f.", "truncated"),
        (b"X\xff\xff\xff\x7f.", "truncated"),
        (b"S'never closed\n.", "damaged"),
        (b"S'never ends", "truncated"),
        (b"I" + b"9" * 300 + b"\n.", "a line of 300 bytes"),
        (b"(" * 100_000 + b".", "damaged"),
        (b"]" + b"\x85" * 100_000 + b".", "not two"),
        (b"(l2a.", "not two"),
        (b"]](]e].", "not two"),
        (b"NR.", "damaged"),
        (b"N)R.", "a call of what is no function"),
        (b"NNb.", "a state for what takes none"),
        (b"NNa.", "damaged"),
        (b"h\x05.", "damaged"),
        (b"0.", "damaged"),
        (b"e.", "damaged"),
        (b"\x86.", "damaged"),
        (b"NN\x93.", "damaged"),
        (b"", "truncated"),
    ],
)
def test_every_trick_is_a_clear_error(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        BinReader(saved(tmp_path, content))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_keeps_the_reader_busy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, b"]" + b"\x94" * 1000 + b".")
    monkeypatch.setattr("occmask.records.pickled.restricted.MAX_OPCODES", 1000)
    with pytest.raises(DataError, match="more than 1000 opcodes"):
        BinReader(path)


def test_one_picture_in_every_pair_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Blob] = []
    monkeypatch.setattr(Blob, "read", lambda blob, file: read.append(blob) or JPEG)
    picture = JPEG * 2
    reader = BinReader(saved(tmp_path, ([picture] * 2000, [True] * 1000)))
    assert (len(reader), len(read)) == (1, 1)


def test_lists_in_lists_in_lists_are_not_opened(tmp_path: Path) -> None:
    laughs = b"]2"  # a list, twice
    for _ in range(1000):
        laughs += b"\x862"  # the pair of both, twice
    with pytest.raises(DataError, match="2 pictures for 2 pairs"):
        BinReader(saved(tmp_path, laughs + b"\x86."))


def numpy_like(*, state: bytes) -> bytes:
    return b"cnumpy.core.multiarray\n_reconstruct\n(tR" + state


DTYPE = b"cnumpy\ndtype\n(U\x02u1I00\nI01\ntR"
BYTES = b"U\x01a"


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"N", "not its encoded bytes"),
        (b"K\x05", "not its encoded bytes"),
        (b"cnumpy\ndtype\n(U\x02O8tR", "numbers of type 'O8'"),
        (b"cnumpy\ndtype\n)R", "numbers of type ''"),
        (b"cnumpy\ndtype\n(U\xff" + b"a" * 255 + b"tR", "numbers of type"),
        (b"cnumpy\ndtype\n(T\x00\x10\x00\x00" + b"a" * 4096 + b"tR", "a name of 4096 bytes"),
        (DTYPE + b"(I3\nU\x01>tb", "not little-endian"),
        (DTYPE + b"Nb", "no state of a numpy.dtype"),
        (numpy_like(state=b""), "not its encoded bytes"),
        (numpy_like(state=b"Nb"), "no state of a numpy.ndarray"),
        (numpy_like(state=b"(I1\n(I1\ntNI00\n" + BYTES + b"tb"), "anything but numbers"),
        (numpy_like(state=b"(I1\n(I1\nI1\nt" + DTYPE + b"I00\n" + BYTES + b"tb"), "more than one axis"),
        (numpy_like(state=b"(I1\n(I-1\nt" + DTYPE + b"I00\n" + BYTES + b"tb"), "more than one axis"),
        (numpy_like(state=b"(I1\n(I2\nt" + DTYPE + b"I00\n" + BYTES + b"tb"), "2 numbers of type u1"),
        (b"cnumpy._core.numeric\n_frombuffer\n)R", "no arguments"),
        (b"cnumpy._core.multiarray\nscalar\n)R", "no arguments"),
        (b"cnumpy._core.multiarray\nscalar\n(" + DTYPE + b"U\x02ab" + b"tR", "2 bytes for 1 numbers"),
        (b"c_codecs\nencode\n)R", "no arguments"),
        (b"c_codecs\nencode\n(V1\nVrot13\ntR", "encoding"),
        (b"V\\u0141\n", "text .* that stands for no bytes"),
        (b"S'\\q'\n", "text .* that stands for no bytes"),
        (b"S'\\\\\\'\n", "text .* that stands for no bytes"),
    ],
)
def test_a_picture_that_is_none_says_why(tmp_path: Path, image: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        BinReader(saved(tmp_path, b"(](" + image + BYTES + b"e](I01\net."))


def test_a_picture_that_fills_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occmask.records.pickled.source.MAX_BLOB", 255)
    with pytest.raises(DataError, match="bytes in one piece"):
        BinReader(saved(tmp_path, (IMAGES, SAME)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (IMAGES, "not two things"),
        ((IMAGES, 1), "not two lists"),
        ((IMAGES[:-1], SAME), "7 pictures for 4 pairs"),
        (([], []), "0 pictures for 0 pairs"),
        ((IMAGES, [2, 0, 0, 0]), "neither True nor False"),
        ((IMAGES, [None] * 4), "neither True nor False"),
        (([np.zeros((2, 2), np.uint8)] * 8, SAME), "more than one axis"),
        (([np.zeros(4)] * 8, SAME), "numbers of type 'f8'"),
        (([np.zeros(4, np.int32)] * 8, SAME), "4 numbers of type i4"),
    ],
)
def test_other_content_is_refused_with_the_layout(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(DataError, match=f"{reason}.*expected a pickle of"):
        BinReader(saved(tmp_path, content))


def test_an_empty_picture_is_an_error_when_it_is_asked_for(tmp_path: Path) -> None:
    reader = BinReader(saved(tmp_path, ([b"", JPEG], [True])))
    with pytest.raises(DataError, match=r"0000/00000\.bin: a picture of 0 bytes"):
        reader[0]


@pytest.mark.parametrize("count", [1, 999, 1001])
def test_what_is_written_insightface_reads(tmp_path: Path, count: int) -> None:
    images = [JPEG + struct.pack("<I", i) for i in range(2 * count)]
    same = [i % 3 == 0 for i in range(count)]
    assert write_bin(tmp_path / "lfw.bin", images, same) == count
    assert pickle.loads((tmp_path / "lfw.bin").read_bytes(), encoding="bytes") == (images, same)
    reader = BinReader(tmp_path / "lfw.bin")
    assert (list(reader.images), reader.same.tolist()) == (images, same)
    assert os.listdir(tmp_path) == ["lfw.bin"]


def test_pictures_are_written_as_they_come(tmp_path: Path) -> None:
    seen: list[int] = []

    def images() -> Iterator[bytes]:
        for i in range(4):
            seen.append(i)
            yield JPEG + bytes([i])

    write_bin(tmp_path / "a.bin", images(), (len(seen) == 4 for _ in range(2)))
    assert BinReader(tmp_path / "a.bin").same.tolist() == [True, True]


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bin(path, IMAGES, SAME)
    before = path.read_bytes()
    for images, same, reason in (
        (IMAGES[1:], SAME, "7 pictures for 4 pairs"),
        ([b"", JPEG], [True], "picture 0 has 0 bytes"),
        ([], [], "0 pictures"),
    ):
        with pytest.raises(DataError, match=reason):
            write_bin(path, images, same)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["a.bin"]
    with pytest.raises(DataError, match="cannot be written"):
        write_bin(tmp_path / "no" / "a.bin", IMAGES, SAME)


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        (b"RIFF\x10\0\0\0WEBPVP8 ", ".webp"),
        (b"RIFF\x10\0\0\0WAVE", ".bin"),
        (b"\x89PNG\r\n\x1a\n", ".png"),
        (b"", ".bin"),
    ],
)
def test_the_content_decides_what_a_file_is_called(head: bytes, extension: str) -> None:
    assert extension_of(head) == extension
