"""`occmask convert`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from occmask.cli import main
from occmask.records.formats import open_records


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    for number in range(60):
        person = tmp_path / "faces" / f"p{number % 3}"
        person.mkdir(parents=True, exist_ok=True)
        (person / f"{number:02d}.jpg").write_bytes(b"" if number < 25 else b"%d" % number)
    return tmp_path / "faces"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["convert", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_skipped_records_are_listed_and_are_no_failure(
    capsys: pytest.CaptureFixture[str], faces: Path, tmp_path: Path
) -> None:
    code, out, err = run(capsys, faces, tmp_path / "x.tar", "--quiet")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "read 60, wrote 35, skipped 25:"
    assert lines[1] == "  p0/00.jpg: empty file"
    assert len(lines) == 22
    assert lines[-1] == f"  and 5 more; all are in {tmp_path / 'x.tar.convert.jsonl'}"
    assert len(open_records(tmp_path / "x.tar")) == 35


def test_json_and_resume(capsys: pytest.CaptureFixture[str], faces: Path, tmp_path: Path) -> None:
    code, out, err = run(capsys, faces, tmp_path / "x", "--format", "tar", "--json")
    assert (code, err) == (0, "")
    first = json.loads(out)
    assert (first["read"], first["written"], len(first["skipped"])) == (60, 35, 25)
    assert first["skipped"][0] == {"source": "p0/00.jpg", "reason": "empty file"}
    code, out, _ = run(capsys, faces, tmp_path / "x", "--format", "tar", "--json", "--resume")
    assert code == 0
    assert json.loads(out) == first


def test_a_bar_is_shown_unless_quiet(capsys: pytest.CaptureFixture[str], faces: Path, tmp_path: Path) -> None:
    assert "record" in run(capsys, faces, tmp_path / "x.tar")[2]


def test_pairs_are_counted(capsys: pytest.CaptureFixture[str], faces: Path, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("left,right,same\np0/30.jpg,p0/33.jpg,1\np0/30.jpg,p0/00.jpg,1\n")
    code, out, _ = run(capsys, faces, tmp_path / "x.tar", "--pairs", tmp_path / "own.csv", "--quiet")
    assert code == 0
    assert out.splitlines()[-2:] == [
        f"pairs 1 in {tmp_path / 'x.tar.pairs.csv'}, lost 1:",
        "  p0/30.jpg, p0/00.jpg: p0/00.jpg: empty file",
    ]


def test_pairs_are_what_a_bin_is_counted_in(capsys: pytest.CaptureFixture[str], faces: Path, tmp_path: Path) -> None:
    good = [f"p0/30.jpg,p{number % 3}/{number}.jpg,0\n" for number in range(31, 34)]
    lost = [f"p0/30.jpg,p{number % 3}/{number:02d}.jpg,0\n" for number in range(25)]
    (tmp_path / "own.csv").write_text("".join(["left,right,same\n", *good, *lost]))
    code, out, _ = run(capsys, faces, tmp_path / "x.bin", "--pairs", tmp_path / "own.csv", "--quiet")
    assert code == 0
    assert out.splitlines()[0] == "read 28 pairs, wrote 3, skipped 25:"
    assert out.splitlines()[-1] == "  and 5 more; --json lists all"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["{tmp}/none", "{tmp}/x.tar"], "no such file or folder; what is read"),
        (["{tmp}/faces", "{tmp}/faces"], "faces: the source itself"),
        (["{tmp}/faces", "{tmp}/faces/out"], "faces/out: inside the source"),
        (["{tmp}/faces", "{tmp}"], "exists already"),
        (["{tmp}/faces", "{tmp}/x.tar.gz"], "a target ends with"),
        (["{tmp}/faces", "{tmp}/x.tar", "--pairs", "{tmp}/none.csv"], "none.csv: the list of pairs cannot be read"),
        (["{tmp}/faces", "{tmp}/file/x.tar"], "cannot be written"),
    ],
)
def test_errors_are_one_line_and_exit_2(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str], faces: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    code, out, err = run(capsys, *(word.format(tmp=tmp_path) for word in words))
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
