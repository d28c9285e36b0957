"""Damages one file of a format thousands of times and reads it: `python fuzzing.py FORMAT SEED COUNT FOLDER`.

Runs on its own, with 1 GB of address space beyond what the libraries take, an alarm for each reading and a watch over
whatever would run code.  Every outcome but a `DataError` or a reading ends it with a traceback.
Prints how many of each there were.
"""

from __future__ import annotations

import json
import pickle
import random
import resource
import signal
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from occmask.errors import DataError
from occmask.records.pickled.reader import BinReader
from occmask.records.pickled.writer import write_bin
from occmask.records.record import Record, RecordReader
from occmask.records.recordio.reader import RecReader
from occmask.records.recordio.writer import RecWriter

MAGIC = bytes.fromhex("0a23d7ce")
LIMIT = 1 << 30  # bytes of memory
SECONDS = 5  # for one reading
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class")

NUMBERS = [struct.pack("<I", n) for n in (0, 1, 7, 255, (1 << 29) - 1, 1 << 29, 1 << 31, (1 << 32) - 1)]
WORDS = {
    "rec": [MAGIC, *(struct.pack("<I", flag << 29 | 4) for flag in range(8)), struct.pack("<f", float("nan"))],
    "idx": [b"\n", b"\t", b"-", b"0", b"9" * 25, b"1\t0\n", b"0\t0\n", b"\xff"],
    "lst": [b"\n", b"\t", b"/", b"..", b"a/b", b"1\t0\tx/y\n", b"\0", b"\xff", b"9" * 500],
    "property": [b",", b"-", b"1", b"9" * 5000, b"\n", b"\xff", b"112"],
    "bin": [
        *(bytes([opcode]) for opcode in b"()]}lte.aobRcQPijJKMNSTUVXBCGgpq012\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89"),
        *(bytes([opcode]) for opcode in b"\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98"),
        b"cos\nsystem\n(S'touch canary'\ntR",
        b"cbuiltins\nexec\n(V1/0\ntR",
        b"(S'touch canary'\nios\nsystem\n",
        b"\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch canary\x85R",
        b"cnumpy.core.multiarray\n_reconstruct\n(tR",
        b"c_codecs\nencode\n(V\xe9\nVlatin1\ntR",
        b"\x8e" + b"\xff" * 8,
        b"\x8b\xff\xff\xff\x7f",
        b"h\x00" * 50,
        b"2" * 50,
        b"\x86" * 50,
        b"(" * 50,
    ],
}


def damaged(content: bytes, other: bytes, words: list[bytes], dice: random.Random) -> bytes:
    """The content after one to three mutations."""
    changed = bytearray(content)
    for _ in range(dice.randint(1, 3)):
        at = dice.randint(0, len(changed))
        kind = dice.randrange(7)
        if kind == 0 and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            del changed[at : at + dice.randint(1, 40)]
        elif kind == 3:
            start = dice.randint(0, len(other))
            changed[at:at] = other[start : start + dice.randint(1, 200)]
        elif kind == 4:
            word = dice.choice(words)
            changed[at:at] = word
        elif kind == 5:
            word = dice.choice([*words, *NUMBERS])
            at -= at % 4 if dice.random() < 0.7 else 0
            changed[at : at + len(word)] = word
        else:
            changed[at:at] = changed[at : at + dice.randint(1, 60)] * dice.randint(1, 30)
    return bytes(changed)


def rec_files(folder: Path) -> Path:
    with RecWriter(folder) as writer:
        for i in range(12):
            person = f"p{i // 4}"
            writer.write(Record(f"{person}/{i}.jpg", i // 4, b"\xff\xd8\xff" + MAGIC * (i % 3) + bytes(i)), person)
    (folder / "property").write_text("3,112,112\n")
    return folder


def bin_files(folder: Path) -> list[bytes]:
    """The same pairs in several dialects."""
    images = [b"\xff\xd8\xff" + bytes([i]) * 12 for i in range(12)]
    same = [True, False] * 3
    arrays = [np.frombuffer(image, np.uint8) for image in images]
    write_bin(folder / "any.bin", images, same)
    variants: list[Any] = [(images, same), (arrays, [np.bool_(value) for value in same]), (arrays, np.array(same))]
    dialects = [pickle.dumps(variant, protocol) for variant in variants for protocol in (0, 2, 4, 5)]
    return [(folder / "any.bin").read_bytes(), *dialects]


def read_all(reader: RecordReader, outcomes: Counter[str]) -> None:
    outcomes["opened"] += 1
    assert len(reader.labels) == len(reader) > 0
    assert 0 <= reader.labels.min() <= reader.labels.max() < len(reader.people)
    names = [reader.name(index) for index in range(len(reader))]
    assert len(set(names)) == len(names), "two records of one name"
    for index in range(len(reader)):
        try:
            record = reader[index]
            assert record.name == names[index]
            assert record.image
        except DataError as e:
            check(e, names[index])
            outcomes["records refused"] += 1


def check(error: DataError, named: str) -> None:
    message = str(error)
    assert "\n" not in message, "an error of several lines"
    assert named in message, "an error that does not say what it is about"


def fuzz(kind: str, dice: random.Random, count: int, folder: Path) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    open_reader: Callable[[Path], RecordReader]
    if kind == "bin":
        path, originals, open_reader = folder / "any.bin", bin_files(folder), BinReader
    else:
        rec_files(folder)
        path, open_reader = folder / ("property" if kind == "property" else f"train.{kind}"), RecReader
        originals = [path.read_bytes()]
        index = folder / "train.idx"
        indexed = index.read_bytes()
    for number in range(count):
        if kind == "rec":  # with and without an index
            index.write_bytes(indexed) if number % 2 else index.unlink()
        path.write_bytes(damaged(dice.choice(originals), dice.choice(originals), WORDS[kind], dice))
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            read_all(open_reader(path if kind == "bin" else folder), outcomes)
        except DataError as e:
            check(e, str(folder))
            outcomes["refused"] += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    return outcomes


def main() -> None:
    kind, seed, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    dice = random.Random(seed)

    def hung(*_: object) -> None:
        raise TimeoutError(f"a reading took more than {SECONDS} seconds")

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in FORBIDDEN:
            raise SystemExit(f"something was run: {event} {arguments}")

    signal.signal(signal.SIGALRM, hung)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + LIMIT, resource.RLIM_INFINITY))
    sys.addaudithook(watch)
    print(json.dumps(fuzz(kind, dice, count, folder)))


if __name__ == "__main__":
    main()
