"""Thousands of damaged and hostile files of each format are read and converted into folders, within 1 GB and in time.

Run as a program, `python test_convert_fuzz.py FORMAT COUNT SEED FOLDER`, this reads and counts; the test starts it, so
that a crash, a hang (an alarm) or too much memory (a limit of the address space) would end that process, not the tests.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occmask.errors import DataError
from occmask.records.conversion.convert import copy_records
from occmask.records.conversion.log import log_of
from occmask.records.folder import FolderReader, FolderWriter
from occmask.records.list_file import ListReader
from occmask.records.lmdbs.reader import LmdbReader
from occmask.records.names import split_name
from occmask.records.record import RecordReader
from occmask.records.tarred.reader import TarReader

SECONDS = 10
CONVERTED = 10  # one in so many that can be read is converted as well
MEMORY = 1 << 30
HOSTILE = [
    "../../escaped.jpg",
    "/escaped.jpg",
    "a/../../escaped.jpg",
    "a/..",
    "..",
    "a\\..\\..\\escaped.jpg",
    "a/b\0c.jpg",
    "a/" + "x" * 5000,
    "x" * 300 + "/1.jpg",
    "a/b/c/d.jpg",
    "./././a/1.jpg",
    "con/nul",
    "a/\udcff.jpg",
    "a/\n.jpg",
    "",
    "/",
    "a/",
    "b/1.jpg",
    "b/1.jpg",
]
NUMBERS = [0, 1, -1, 7, 255, 4095, 4096, 65535, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]


def flipped(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def patched(data: bytes, rng: random.Random) -> bytes:
    """A piece is overwritten, doubled or left out."""
    start, size = rng.randrange(len(data)), rng.choice([1, 4, 8, 512, 4096])
    piece = rng.choice([rng.randbytes(size), bytes(size), b"\xff" * size, data[start : start + size] * 2, b""])
    return data[:start] + piece + data[start + size :]


# -- tar -----------------------------------------------------------------------------------------
def tar_files(rng: random.Random) -> Iterator[bytes]:
    good = [_tar(["a/1.jpg", "a/2.jpg", "b/1.jpg", "c/" + "n" * 120], format) for format in (0, 1, 2)]
    good.append(_tar(["0.jpg", "0.cls", "1.cls", "1.jpg", "1.json"], tarfile.PAX_FORMAT))
    while True:
        data = rng.choice(good)
        kind = rng.randrange(5)
        if kind < 3:
            yield (flipped, cut, patched)[kind](data, rng)
        elif kind == 3:
            yield _with_valid_checksum(data, rng)
        else:
            yield _tar(rng.sample(HOSTILE, 5), tarfile.PAX_FORMAT, rng)


def _tar(names: list[str], format: int, rng: random.Random | None = None) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format, errors="surrogateescape") as archive:
        for number, name in enumerate(names):
            header = tarfile.TarInfo(name if format else name[:99])
            header.size = 2 + number * 300
            if rng is not None:
                header.type = rng.choice([tarfile.REGTYPE] * 5 + [b"1", b"2", b"3", b"5", b"6", b"S", b"V", b"?"])
                header.linkname = rng.choice(HOSTILE).replace("\0", "")
                pax = rng.choice([{}, {}, {"size": str(rng.choice(NUMBERS))}, {"path": rng.choice(HOSTILE)}])
                header.pax_headers = pax
            archive.addfile(header, io.BytesIO(b"%d" % (number % 10) * header.size))
    return file.getvalue()


def _with_valid_checksum(data: bytes, rng: random.Random) -> bytes:
    """A damaged header that says it is whole."""
    out = bytearray(data)
    start = rng.randrange(len(out) // 512) * 512
    for _ in range(rng.randint(1, 3)):
        at, size = rng.choice([(0, 100), (124, 12), (156, 1), (257, 8), (345, 155)])
        numbers = [b"%o" % abs(rng.choice(NUMBERS)), b"\x80" + rng.randbytes(11), b"\xff" * 12]
        field = rng.choice([rng.randbytes(size), *numbers])
        out[start + at : start + at + size] = field[:size].ljust(size, b"\0")
    out[start + 148 : start + 156] = b" " * 8
    out[start + 148 : start + 156] = b"%06o\0 " % sum(out[start : start + 512])
    return bytes(out)


# -- lmdb ----------------------------------------------------------------------------------------
def lmdb_files(rng: random.Random) -> Iterator[bytes]:
    import lmdb

    good = []
    for count in (3, 100):
        with tempfile.TemporaryDirectory() as folder:
            environment = lmdb.open(folder, map_size=1 << 24)
            for round in range(2):
                with environment.begin(write=True) as transaction:
                    for number in range(count):
                        key = f"p{number % 9}/{number:03d}.jpg" if number != 77 else rng.choice(HOSTILE) or "x"
                        image = bytes([number]) * rng.choice([1, 90, 700, 5000])
                        transaction.put(key.encode("utf-8", "surrogateescape")[:500], image)
                    transaction.delete(b"p%d/%03d.jpg" % (round, round))
            environment.close()
            good.append((Path(folder) / "data.mdb").read_bytes())
    while True:
        data = rng.choice(good)
        kind = rng.randrange(6)
        yield (flipped, cut, patched)[kind](data, rng) if kind < 3 else _with_damaged_pages(data, rng)


def _with_damaged_pages(data: bytes, rng: random.Random) -> bytes:
    """Fields of page headers, of nodes and of the two first pages are changed."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        page = rng.choice([0, 1, rng.randrange(len(out) // 4096), rng.randrange(len(out) // 4096)]) * 4096
        count = min(200, max(1, (struct.unpack_from("<H", out, page + 12)[0] - 16) // 2))
        place = struct.unpack_from("<H", out, page + 16 + 2 * rng.randrange(count))[0] % 4000
        at = page + rng.choice([rng.randrange(16), 12, 14, 16 + 2 * rng.randrange(count), place + rng.randrange(16)])
        at = rng.choice([at, page + 16 + rng.randrange(136)]) if page < 8192 else at
        size = rng.choice([1, 2, 4, 8])
        number = rng.choice([*NUMBERS, rng.randrange(len(out) // 4096), rng.randrange(1 << 16)])
        out[at : at + size] = (number & ((1 << 64) - 1)).to_bytes(8, "little")[:size]
    return bytes(out)


# -- lists and folders ---------------------------------------------------------------------------
def list_files(rng: random.Random) -> Iterator[bytes]:
    good = [
        b"a/1.jpg\t1\nb/2.jpg\t2\n# comment\n\na/my face.jpg\tann\n",
        b"a/1.jpg 1\r\nb/2.jpg 2\r\n",
        b"0\t1.000000\ta/1.jpg\n1\t2\t3\tb/2.jpg\n",
        "\ufeffa/1.jpg\nb/2.jpg\n".encode(),
    ]
    odd = [b"\0", b"\t" * 50, b"\n" * 50, b"9" * 400, b"1e999", b"nan", b"\xff\xfe", b"../" * 200, b"y" * 40_000]
    while True:
        data = rng.choice(good) * rng.randint(1, 3)
        kind = rng.randrange(5)
        if kind < 3:
            yield (flipped, cut, patched)[kind](data, rng)
        elif kind == 3:
            at = rng.randrange(len(data))
            yield data[:at] + rng.choice(odd) + data[at:]
        else:
            names = [name.encode("utf-8", "surrogateescape") for name in rng.sample(HOSTILE, 4)]
            yield b"a/1.jpg\t1\n" + b"".join(name + b"\t" + rng.choice([b"1", *names]) + b"\n" for name in names)


def names_of_folders(rng: random.Random) -> Iterator[bytes]:
    """A file's path in a folder of faces, which the run then makes; not all can be made."""
    letters = ["a", "b", ".", "..", "\\", "\n", "\x01", "\udcff", "\u00e9", "con", "x" * 130, " ", ":", "\u202e", "-"]
    while True:
        parts = ["".join(rng.choices(letters, k=rng.randint(1, 3))) for _ in range(rng.choice([1, 2, 2, 2, 2, 3]))]
        yield "/".join(parts).encode("utf-8", "surrogateescape")


def _open_folder(path: Path) -> FolderReader:
    """The folder of the name that `path` holds, with a link, a pipe or the file itself there."""
    name = path.read_bytes()
    root = path.with_name("source")
    (root / "good").mkdir(parents=True, exist_ok=True)
    (root / "good" / "1.jpg").write_bytes(b"picture")
    for entry in os.scandir(root):  # of the last name
        if entry.is_dir(follow_symlinks=False) and entry.name != "good":
            shutil.rmtree(entry.path)
        elif entry.name != "good":
            os.remove(entry.path)
    target = os.path.join(os.fsencode(root), name)
    inside = os.path.normpath(target).startswith(os.fsencode(root) + b"/")
    try:
        if inside:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            kind = len(name) % 5
            if kind == 0:
                os.symlink(b"/etc/passwd", target)
            elif kind == 1:
                os.mkfifo(target)
            else:
                Path(os.fsdecode(target)).write_bytes(b"picture" * (kind - 1))
    except OSError:
        pass
    return FolderReader(root)


FORMATS: dict[str, tuple[Callable[[random.Random], Iterator[bytes]], Callable[[Path], RecordReader]]] = {
    "x.tar": (tar_files, TarReader),
    "data.mdb": (lmdb_files, LmdbReader),
    "x.lst": (list_files, ListReader),
    "name": (names_of_folders, _open_folder),
}


def check(reader: RecordReader, *, of_ours: bool) -> str:
    """Labels and names are what they promise to be; the last error of a record."""
    assert len(reader) == len(reader.labels) > 0
    assert all(0 <= label < len(reader.people) for label in reader.labels)
    names = [reader.name(index) for index in range(len(reader))]
    assert len(set(names)) == len(names)
    if of_ours:  # what a folder holds is not of our making
        assert all(split_name(n)[0] == reader.people[label] for n, label in zip(names, reader.labels, strict=True))
    message = ""
    for index in range(len(reader)):
        try:
            assert reader[index].image
        except DataError as e:
            message = str(e)
    return message


def check_conversion(reader: RecordReader, folder: Path) -> None:
    """Every record is a file of the target or is reported, and there is no other file."""
    target = folder / "deep" / "faces"
    report = copy_records(reader, target, FolderWriter, source="fuzz", progress=False)
    assert report.read == report.written + len(report.skipped)
    written = [path for path in folder.rglob("*") if path.is_file() and path != log_of(target)]
    assert len(written) == report.written
    assert all(path.parent.parent == target for path in written)
    shutil.rmtree(folder)


def main(name: str, count: int, seed: int, folder: Path) -> None:
    files, open_reader = FORMATS[name]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    source = folder / "in" / name
    source.parent.mkdir()
    for picture in ("a/1.jpg", "b/2.jpg", "a/my face.jpg"):
        (source.parent / picture).parent.mkdir(exist_ok=True)
        (source.parent / picture).write_bytes(b"picture")
    outcomes: Counter[str] = Counter()
    for number, data in zip(range(count), files(random.Random(seed)), strict=False):
        signal.alarm(SECONDS)
        source.write_bytes(data)
        try:
            reader = open_reader(source)
        except DataError as e:
            message = str(e)
            outcomes["error"] += 1
        else:
            outcomes["skipped" if reader.skipped else "good"] += 1
            message = check(reader, of_ours=name != "name")
            if number % CONVERTED == 0:
                check_conversion(reader, folder / "out")
        assert "\n" not in message, message
        assert len(message) < 2000, message
    assert sorted(os.listdir(folder)) in (["in"], ["in", "out"])
    print(json.dumps(outcomes))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_damage_and_malice_end_in_an_error_a_skip_or_a_good_reading(name: str, tmp_path: Path) -> None:
    if name == "data.mdb":
        pytest.importorskip("lmdb")
    count = int(os.environ.get("FUZZ_COUNT", "2000"))
    command = [sys.executable, __file__, name, str(count), os.environ.get("FUZZ_SEED", "0"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600 * count / 2000)
    assert result.returncode == 0, (result.returncode, result.stderr[-2000:])
    outcomes = json.loads(result.stdout)
    assert sum(outcomes.get(kind, 0) for kind in ("error", "skipped", "good")) == count
    assert all(outcomes.get(kind, 0) > count / 200 for kind in ("skipped", "good")), outcomes
    assert name == "name" or outcomes["error"] > count / 200, outcomes


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
