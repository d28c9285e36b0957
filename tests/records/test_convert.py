"""Conversions: nothing changes on the way, nothing is lost silently, and a killed one is continued to the same end."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from occmask.errors import DataError, OptionError
from occmask.images.skipping import Skipped
from occmask.records import formats
from occmask.records.conversion.convert import convert, copy_records
from occmask.records.folder import FolderReader, FolderWriter
from occmask.records.formats import FORMATS, format_of, open_records, target_format, writer_for
from occmask.records.record import Record, RecordReader, every_record
from occmask.records.tarred.writer import TarWriter

needs_lmdb = pytest.mark.skipif(importlib.util.find_spec("lmdb") is None, reason="needs the package lmdb")
TARGETS = [
    pytest.param("x.tar", None, id="tar"),
    pytest.param("shards", "tar", id="shards"),
    pytest.param("x.lmdb", None, id="lmdb", marks=needs_lmdb),
    pytest.param("x.rec", None, id="rec"),
    pytest.param("faces", None, id="folder"),
]


def make_folder(root: Path, count: int, *, people: int = 7) -> Path:
    rng = random.Random(count)
    for number in range(count):
        person = root / f"p\u00e9rson {number % people}"
        person.mkdir(parents=True, exist_ok=True)
        (person / f"{number}.jpg").write_bytes(rng.randbytes(rng.randrange(1, 60)))
    return root


def same_files(one: Path, other: Path) -> bool:
    files = [
        {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()} for root in (one, other)
    ]
    return files[0] == files[1]


def content_of(reader: RecordReader) -> list[tuple[str, str, bytes]]:
    return sorted((record.name, reader.people[record.label], record.image) for record in every_record(reader))


def chain(tmp_path: Path, count: int, names: Sequence[str]) -> None:
    first = make_folder(tmp_path / "first", count)
    source = first
    for name in names:
        report = convert(source, tmp_path / name, progress=False)
        assert (report.read, report.written, report.skipped) == (count, count, ())
        again = open_records(tmp_path / name)
        assert content_of(again) == content_of(FolderReader(first))
        assert list(again.people) == list(FolderReader(first).people)
        source = tmp_path / name
    assert same_files(first, source)


@needs_lmdb
def test_a_chain_of_conversions_changes_nothing(tmp_path: Path) -> None:
    chain(tmp_path, 200, ["x.tar", "x.lmdb", "last"])


@needs_lmdb
@pytest.mark.slow
def test_ten_thousand_records_survive_every_container(tmp_path: Path) -> None:
    chain(tmp_path, 10_000, ["x.rec", "x.tar", "x.lmdb", "last"])


class Records:
    """Records made up on the spot; some cannot be read, some have names that no writer takes."""

    skipped: Sequence[Skipped] = (Skipped("beside", "no record"),)

    def __init__(self, count: int = 2500):
        self.count = count
        self.people = [f"p{number:03d}" for number in range(50)]
        self.labels = np.arange(count) * 50 // count

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"{self.people[self.labels[index]]}/{'..' if index % 89 == 7 else ''}{index}.jpg"

    def __getitem__(self, index: int) -> Record:
        if index % 97 == 5:
            raise DataError(f"{self.name(index)}: damaged")
        return Record(self.name(index), int(self.labels[index]), b"%d" % index * (1 + index % 50))


def test_every_record_is_written_or_reported(tmp_path: Path) -> None:
    reader = Records(500)
    report = copy_records(reader, tmp_path / "faces", FolderWriter, source="here", progress=False)
    assert report.read == report.written + len(report.skipped) == 501
    assert report.skipped[0] == Skipped("beside", "no record")
    reasons = {s.source: s.reason for s in report.skipped[1:]}
    assert reasons[reader.name(5)] == "damaged"
    assert reasons[reader.name(7)] == "a name that begins with a dot"
    log = [json.loads(line) for line in (tmp_path / "faces.convert.jsonl").read_text().splitlines()]
    assert log[0]["source"] == "here"
    assert {entry["source"]: entry["reason"] for entry in log[1:-1]} == {"beside": "no record", **reasons}
    assert log[-1] == {"read": 501, "written": report.written, "skipped": len(report.skipped)}


KILLED = """
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("test_convert", {here!r})
module = sys.modules["test_convert"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from occmask.records.conversion.convert import copy_records
from occmask.records.formats import writer_for
kill_at = int(sys.argv[3])
class Killed(module.Records):
    def __getitem__(self, index):
        if index == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)
target, format = sys.argv[1], sys.argv[2] or None
print("ready", flush=True)
copy_records(Killed(), target, writer_for(target, format), source="x", resume="resume" in sys.argv, progress=False)
"""


def start(tmp_path: Path, target: Path, format: str | None, kill_at: int, *more: str) -> subprocess.Popen[str]:
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED.format(here=__file__)))
    command = [sys.executable, str(script), str(target), format or "", str(kill_at), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "format"), TARGETS)
def test_a_conversion_that_was_killed_is_continued_with_the_same_result(
    name: str, format: str | None, tmp_path: Path
) -> None:
    whole = copy_records(Records(), tmp_path / "whole" / name, writer_for(name, format), source="x", progress=False)
    target = tmp_path / "killed" / name
    for attempt, kill_at in enumerate([0, 8, 2001]):
        process = start(tmp_path, target, format, kill_at, *(["resume"] if attempt else []))
        _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, errors
    rng = random.Random(name)
    for _ in range(2):  # at any moment
        process = start(tmp_path, target, format, -1, "resume")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            process.wait(rng.uniform(0.0, 0.2))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate(timeout=60)
    resumed = copy_records(Records(), target, writer_for(name, format), source="y", resume=True, progress=False)
    assert resumed == whole
    expected, found = open_records(tmp_path / "whole" / name), open_records(target)
    assert list(found.skipped) == []
    assert content_of(found) == content_of(expected)
    assert list(found.labels) == list(expected.labels)
    if "lmdb" not in name:
        assert same_files(tmp_path / "whole" / name, target)
    again = copy_records(Records(), target, writer_for(name, format), source="z", resume=True, progress=False)
    assert again == whole


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.tar", pytest.param("x.lmdb", marks=needs_lmdb), "x.rec"])
def test_memory_does_not_grow_with_the_records(name: str, tmp_path: Path) -> None:
    script = f"""
    import importlib.util, re, sys
    spec = importlib.util.spec_from_file_location("test_convert", {__file__!r})
    module = sys.modules["test_convert"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from occmask.records.conversion.convert import copy_records
    from occmask.records.formats import writer_for
    def rss(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10
    target = {str(tmp_path / name)!r}
    copy_records(module.Records(2000), target + "-", writer_for(target), source="x", progress=False)
    before = rss()
    reader = module.Records(60_000)
    reader.__class__.__getitem__ = lambda self, i: module.Record(self.name(i), int(self.labels[i]), bytes(2000))
    report = copy_records(reader, target, writer_for(target), source="x", progress=False)
    print(before, rss(), report.written)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    before, after, written = map(int, result.stdout.split())
    assert written > 59_000
    assert after - before < 60  # MB, where the records have 120


def test_a_target_that_exists_is_refused_and_its_log_is_kept(tmp_path: Path) -> None:
    copy_records(Records(50), tmp_path / "x.tar", TarWriter, source="x", progress=False)
    log = (tmp_path / "x.tar.convert.jsonl").read_bytes()
    with pytest.raises(DataError, match="exists already"):
        copy_records(Records(50), tmp_path / "x.tar", TarWriter, source="x", progress=False)
    assert (tmp_path / "x.tar.convert.jsonl").read_bytes() == log


def test_what_is_not_the_same_conversion_is_not_resumed(tmp_path: Path) -> None:
    def resume(reader: Records, writer: Any = TarWriter) -> None:
        copy_records(reader, tmp_path / "x.tar", writer, source="x", resume=True, progress=False)

    resume(Records(50))
    with pytest.raises(DataError, match="that conversion had records 50, this one has 60"):
        resume(Records(60))
    changed = Records(50)
    changed.people = ["q" + person for person in changed.people]
    with pytest.raises(DataError, match="that conversion had names"):
        resume(changed)
    with pytest.raises(DataError, match="had writer 'TarWriter'"):
        resume(Records(50), FolderWriter)
    log = tmp_path / "x.tar.convert.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text(lines[0] + '{"place": 77, "source": "x", "reason": "y"}\n')
    with pytest.raises(DataError, match="names records that its source does not have"):
        resume(Records(50))
    log.write_text(lines[0] + "".join(f'{{"place": {n}, "source": "x", "reason": "y"}}\n' for n in range(30)))
    with pytest.raises(DataError, match="more than its source"):
        resume(Records(50))
    log.write_text("rubbish\n")
    with pytest.raises(DataError, match="not the log of a conversion"):
        resume(Records(50))
    log.unlink()
    with pytest.raises(DataError, match=r"nothing to resume, for x\.tar\.convert\.jsonl is missing"):
        resume(Records(50))


def test_a_full_disk_stops_the_conversion(tmp_path: Path) -> None:
    class Full(FolderWriter):
        def write(self, record: Record, person: str) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left on device"):
        copy_records(Records(50), tmp_path / "x", Full, source="x", progress=False)


@pytest.mark.parametrize("target", ["faces", "faces/out", "faces/deep/x.tar", "link", "link/out", "other/../faces/out"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_target_that_is_the_source_or_inside_it_is_refused(tmp_path: Path, target: str, resume: bool) -> None:
    source = make_folder(tmp_path / "faces", 6)
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "other").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="choose a target outside it") as caught:
        convert(source, tmp_path / target, resume=resume, progress=False)
    assert ("the source itself" in str(caught.value)) == (target in ("faces", "link"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_is_not_converted_onto_itself(tmp_path: Path) -> None:
    tar, link = tmp_path / "x.tar", tmp_path / "y.tar"
    convert(make_folder(tmp_path / "faces", 6), tar, progress=False)
    before = tar.read_bytes()
    link.hardlink_to(tar)
    for target in (tar, link):
        with pytest.raises(DataError, match="the source itself"):
            convert(tar, target, progress=False)
    assert tar.read_bytes() == before
    assert convert(tar, tmp_path / "faces2", progress=False).written == 6  # a name that only begins alike


# -- formats -------------------------------------------------------------------------------------
def test_a_format_is_known_by_what_is_there(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "faces", 6)
    assert format_of(folder) == "folder"
    convert(folder, tmp_path / "x.tar", progress=False)
    convert(folder, tmp_path / "shards", format="tar", progress=False)
    assert format_of(tmp_path / "x.tar") == format_of(tmp_path / "shards") == "tar"
    (tmp_path / "x.tar").rename(tmp_path / "x.tar.gz")
    assert format_of(tmp_path / "x.tar.gz") == "tar"
    for name in ("x.lst", "x.txt", "x.csv", "x.tar.txt"):
        (tmp_path / name).write_text("faces/1.jpg 1\n")
        assert format_of(tmp_path / name) == "list"
    for name, expected in (("x.rec", "rec"), ("x.idx", "rec"), ("lfw.bin", "bin"), ("x.mdb", "lmdb")):
        (tmp_path / name).touch()
        assert format_of(tmp_path / name) == expected
    (tmp_path / "insightface").mkdir()
    (tmp_path / "insightface" / "train.rec").touch()
    assert format_of(tmp_path / "insightface") == "rec"


@needs_lmdb
def test_an_lmdb_is_known_in_a_folder_and_as_a_file(tmp_path: Path) -> None:
    convert(make_folder(tmp_path / "faces", 6), tmp_path / "x", format="lmdb", progress=False)
    assert format_of(tmp_path / "x") == "lmdb"
    (tmp_path / "x" / "data.mdb").rename(tmp_path / "train.lmdb")
    assert format_of(tmp_path / "train.lmdb") == "lmdb"
    assert len(open_records(tmp_path / "train.lmdb")) == 6


def test_what_is_in_no_format_lists_those_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="in no format that is read; what is read: ") as caught:
        open_records(tmp_path / "x.zip")
    assert all(f"({name})" in str(caught.value) for name in FORMATS)
    with pytest.raises(DataError, match="no such file or folder; what is read"):
        open_records(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no such file or folder|cannot be read"):
        open_records("a\0b")


def test_the_name_of_the_target_tells_its_format() -> None:
    names = {"a.rec": "rec", "a.tar": "tar", "a.LMDB": "lmdb", "a.bin": "bin", "a": "folder", "a.faces": "folder"}
    assert {name: target_format(name) for name in names} == names
    assert target_format("a", "tar") == "tar"
    with pytest.raises(OptionError, match="Did you mean 'lmdb'"):
        target_format("a", "ldmb")
    with pytest.raises(OptionError, match="no format 'list' can be written"):
        target_format("a", "list")
    for name in ("a.tar.gz", "a.txt", "a.zip"):
        with pytest.raises(OptionError, match=r"a target ends with \.rec, \.lmdb, \.tar, \.bin"):
            target_format(name)
    with pytest.raises(OptionError, match="holds pairs"):
        writer_for("a.bin")


def test_every_reader_and_writer_exists() -> None:
    for known in FORMATS.values():
        for reference in (known.reader, known.writer, known.pairs_writer):
            assert reference is None or callable(formats._load(reference))


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("occmask.records.formats.os.listdir", refuse)
    with pytest.raises(DataError, match="cannot be listed"):
        format_of(tmp_path)


# -- pairs ---------------------------------------------------------------------------------------
PAIRS = "left,right,same\na/1.jpg,a/2.jpg,1\na/1.jpg,b/1.jpg,0\nb/1.jpg,b/2.jpg,true\n"


@pytest.fixture
def paired(tmp_path: Path) -> Path:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(b"picture " + name.encode())
    (tmp_path / "faces.pairs.csv").write_text(PAIRS)
    return tmp_path / "faces"


def test_pairs_beside_the_source_are_kept_beside_the_target(paired: Path, tmp_path: Path) -> None:
    report = convert(paired, tmp_path / "x.tar", progress=False)
    assert (report.pairs, report.lost_pairs) == (3, ())
    assert (tmp_path / "x.tar.pairs.csv").read_text() == PAIRS.replace("true", "1")


def test_a_pair_that_lost_a_picture_is_told(paired: Path, tmp_path: Path) -> None:
    (paired / "a" / "2.jpg").write_bytes(b"")
    (tmp_path / "own.csv").write_text(PAIRS + "a/1.jpg,c/1.jpg,0\n")
    report = convert(paired, tmp_path / "x.tar", pairs=tmp_path / "own.csv", progress=False)
    assert report.pairs == 2
    assert report.lost_pairs == (
        Skipped("a/1.jpg, c/1.jpg", "no record c/1.jpg"),
        Skipped("a/1.jpg, a/2.jpg", "a/2.jpg: empty file"),
    )


def test_pairs_become_a_bin_and_come_back(paired: Path, tmp_path: Path) -> None:
    report = convert(paired, tmp_path / "x.bin", progress=False)
    assert (report.read, report.written, report.skipped) == (3, 3, ())
    reader: Any = open_records(tmp_path / "x.bin")
    assert list(reader.same) == [True, False, True]
    assert reader.images[3] == b"picture b/1.jpg"
    report = convert(tmp_path / "x.bin", tmp_path / "back", progress=False)
    assert (report.written, report.pairs) == (4, 3)
    again = convert(tmp_path / "back", tmp_path / "y.bin", progress=False)
    assert again.written == 3
    assert (tmp_path / "x.bin").read_bytes() == (tmp_path / "y.bin").read_bytes()


def test_a_damaged_picture_costs_its_pairs_only(paired: Path, tmp_path: Path) -> None:
    (paired / "a" / "2.jpg").write_bytes(b"")
    report = convert(paired, tmp_path / "x.bin", progress=False)
    assert (report.read, report.written) == (3, 2)
    assert report.skipped == (Skipped("a/1.jpg, a/2.jpg", "a/2.jpg: empty file"),)


def test_a_bin_needs_pairs_and_a_free_target(paired: Path, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("left,right,same\nx/1.jpg,x/2.jpg,1\n")
    with pytest.raises(DataError, match=r"has the records of no pair; the first: no record x/1\.jpg"):
        convert(paired, tmp_path / "x.bin", pairs=tmp_path / "none.csv", progress=False)
    with pytest.raises(OptionError, match="cannot be resumed"):
        convert(paired, tmp_path / "x.bin", resume=True, progress=False)
    convert(paired, tmp_path / "x.bin", progress=False)
    with pytest.raises(DataError, match="exists already"):
        convert(paired, tmp_path / "x.bin", progress=False)
    (tmp_path / "faces.pairs.csv").unlink()
    with pytest.raises(DataError, match=r"holds pairs, and .*faces has none; list them in .*faces\.pairs\.csv"):
        convert(paired, tmp_path / "y.bin", progress=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no pairs; expected lines of left,right,same"),
        ("left,right,same\n", "no pairs"),
        ("left,right,same\na,b\n", "line 2: 'a,b'; expected left,right,same"),
        ("left,right,same\na,b,1\na,b,maybe\n", "line 3"),
        ('left,right,same\n"a,b,1\n', "not comma-separated"),
        (None, "cannot be read"),
    ],
)
def test_a_table_of_pairs_that_is_none_is_told(text: str | None, expected: str, paired: Path, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "own.csv").write_text(text)
    with pytest.raises(DataError, match=expected):
        convert(paired, tmp_path / "x.tar", pairs=tmp_path / "own.csv", progress=False)
    assert not os.path.exists(tmp_path / "x.tar")


def test_a_container_among_folders_of_people_is_not_taken_for_all_of_it(paired: Path, tmp_path: Path) -> None:
    convert(paired, tmp_path / "both" / "train.rec", progress=False)
    assert len(open_records(tmp_path / "both"))
    (tmp_path / "both" / "ann").mkdir()
    with pytest.raises(DataError, match=r"train\.rec.*beside it the folder ann; name the container's own file"):
        convert(tmp_path / "both", tmp_path / "x.tar", progress=False)
    assert len(open_records(tmp_path / "both" / "train.rec"))


def test_pairs_may_leave_the_extension_out_as_lfw_does(paired: Path, tmp_path: Path) -> None:
    names = [open_records(paired).name(index) for index in range(2)]
    listed = "".join(f"{names[0]},{name},1\n" for name in names[1:])
    (tmp_path / "own.csv").write_text("left,right,same\n" + listed.replace(".jpg", ""))
    report = convert(paired, tmp_path / "x.bin", pairs=tmp_path / "own.csv", progress=False)
    assert (report.written, report.skipped) == (1, ())
