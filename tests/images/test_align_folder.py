"""Aligning a folder: every picture is written or reported, whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occmask.cli import main
from occmask.errors import DataError
from occmask.images.align_folder import align_folder
from occmask.images.points import read_points
from occmask.images.template import ARCFACE_112

FIVE = [number for point in ARCFACE_112 for number in point]


def line(name: str, separator: str = " ", *, extra: str = "") -> str:
    return separator.join([name, *(f"{number + 20:.4f}" for number in FIVE)]) + extra


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("anna/1.png", "anna/2.png", "berta/deep/3.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)).save(path)
    return tmp_path / "in"


def test_every_picture_is_written_or_reported(photographs: Path, tmp_path: Path) -> None:
    (photographs / "anna/cut.png").write_bytes((photographs / "anna/1.png").read_bytes()[:99])
    points = tmp_path / "points.txt"
    points.write_text(
        "\n".join(
            ["# from a detector", line("anna/1.png"), line("anna/cut.png"), line("gone/9.png"), "anna/2.png 1 2 3"]
        )
    )
    report = align_folder(photographs, points, tmp_path / "out", progress=False)
    assert report.written == 1
    assert {s.source.split(", ")[-1]: s.reason for s in report.skipped}.keys() == {
        "line 5",
        "anna/2.png",
        "berta/deep/3.png",
        "anna/cut.png",
        "gone/9.png",
    }
    aligned = np.asarray(Image.open(tmp_path / "out/anna/1.png"))
    original = np.asarray(Image.open(photographs / "anna/1.png"))
    assert np.abs(aligned[1:-1, 1:-1].astype(int) - original[21:131, 21:131]).max() <= 1
    again = align_folder(photographs, points, tmp_path / "out", progress=False)
    assert again.written == 0
    assert any("exists already" in s.reason for s in again.skipped)


@pytest.mark.parametrize("separator", [" ", ",", "\t", ", "])
def test_points_are_read_with_any_separator_and_a_score_behind(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "points"
    path.write_text("\ufeff" + line("a/1.jpg", separator, extra=f"{separator}0.99") + "\r\n", encoding="utf-8")
    (found,) = read_points(path).points.values()
    np.testing.assert_allclose(found, np.array(ARCFACE_112) + 20, atol=0.01)


def test_a_header_is_passed_over_and_blanks_in_names_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n" + line("a b/1 2.jpg", ","))
    assert list(read_points(path).points) == ["a b/1 2.jpg"]


def test_a_picture_with_two_answers_has_none(tmp_path: Path) -> None:
    path = tmp_path / "points"
    path.write_text(line("a") + "\n" + line("b") + "\n" + line("a").replace("20", "21", 1).replace("58", "59", 1))
    found = read_points(path)
    assert list(found.points) == ["b"]
    assert "other points in an earlier line" in found.skipped[0].reason


def test_a_file_without_points_says_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "points"
    path.write_text("a 1 2 3\nb c d e f g h i j k l\n")
    with pytest.raises(DataError, match=r"x1 y1 \.\.\. x5 y5; line by line: .*line 1"):
        read_points(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="as text"):
        read_points(path)


def test_the_command_counts_what_it_wrote(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = tmp_path / "points.txt"
    points.write_text(line("anna/1.png") + "\n" + line("anna/2.png"))
    words = ["align", str(photographs), str(points), str(tmp_path / "out"), "--size", "112x96", "--quiet"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "wrote 2 aligned faces" in told.out
    assert "skipped berta/deep/3.png: no points in the file" in told.err
    assert Image.open(tmp_path / "out/anna/2.png").size == (96, 112)
    assert main([*words[:3], str(tmp_path / "other"), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 2
    assert main([*words[:4], "--size", "big"]) == 2
