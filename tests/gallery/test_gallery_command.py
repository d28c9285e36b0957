"""`occmask gallery`: what it prints, what it keeps, and what bad input gives."""

import json
import shutil
import sqlite3

import numpy as np
import pytest
import torch
from PIL import Image

import occmask
from occmask.cli import main


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    occmask.save_weights(occmask.build("from_tiny", image_size=(56, 48)), path)
    return path


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    for person in ("ann", "bob", "cyd"):
        (root / person).mkdir()
        base = rng.integers(0, 256, (7, 6, 3)).repeat(8, 0).repeat(8, 1)
        for number in range(3):
            noisy = np.clip(base + rng.integers(-20, 20, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / person / f"{number}.png")
    return root


@pytest.fixture
def run(capsys, tmp_path):
    def run(*words, expected=0):
        code = main(["gallery", str(tmp_path / "people.gallery"), *(str(word) for word in words)])
        captured = capsys.readouterr()
        assert code == expected, captured.err
        return captured.out, captured.err

    return run


@pytest.fixture
def filled(run, people, weights):
    run("enrol", people, "--weights", weights, "--quiet")
    return run


def test_a_folder_is_enrolled_and_its_faces_are_identified_and_verified(run, people, weights):
    out, err = run("enrol", people, "--weights", weights, "--precision", "int8", "--quiet")
    assert out.startswith("enrolled 9 pictures of 3 people into ")
    assert err == ""
    out, _ = run("identify", people / "bob" / "1.png", "--weights", weights, "--top", 2, "--json")
    found = json.loads(out)["faces"][0]["people"]
    assert [len(found), found[0]["person"]] == [2, "bob"]
    assert found[0]["score"] == pytest.approx(1, abs=0.01)
    out, _ = run("verify", "bob", people / "bob" / "1.png", "--weights", weights, "--threshold", 0.99)
    assert "the same person" in out
    out, _ = run("verify", "bob", people / "ann" / "1.png", "--weights", weights, "--threshold", 0.9999, expected=1)
    assert "somebody else" in out


def test_every_file_that_is_left_out_is_told_with_its_reason(run, people, weights, tmp_path):
    faces = shutil.copytree(people, tmp_path / "faces")
    (faces / "ann" / "broken.png").write_bytes(b"no picture")
    (faces / "notes.txt").write_text("x")
    Image.new("RGB", (20, 20)).save(faces / "bob" / "small.png")
    shutil.copy(faces / "cyd" / "0.png", faces / "cyd" / "again.png")
    shutil.copytree(faces / "ann", faces / "a\nb")
    out, _ = run("enrol", faces, "--weights", weights, "--quiet", "--json")
    told = json.loads(out)
    assert (told["people"], told["pictures"]) == (3, 9)
    reasons = {one["source"].removeprefix(f"{faces}/"): one["reason"] for one in told["skipped"]}
    assert len(reasons) == 8
    assert "not a picture" in reasons["ann/broken.png"]
    assert "align it" in reasons["bob/small.png"]
    assert reasons["cyd/again.png"] == "this very picture is enrolled already"
    assert "not in a person's folder" in reasons["notes.txt"]
    assert "printable characters" in reasons["a\nb/0.png"]
    out, err = run("enrol", faces, "--weights", weights, "--quiet")
    assert out.startswith("enrolled 0 pictures of 0 people")
    assert err.count("enrolled already") == 10


def test_people_are_listed_deleted_and_the_file_is_checked(filled, tmp_path):
    out, _ = filled("list")
    assert out.splitlines()[0].startswith("3 people, 9 pictures")
    assert out.splitlines()[1:] == ["ann: 3", "bob: 3", "cyd: 3"]
    out, _ = filled("list", "--pictures", "--json")
    assert [one["name"] for one in json.loads(out)["everybody"][0]["pictures"]] == ["0.png", "1.png", "2.png"]
    out, err = filled("delete", "ann", "bob")
    assert "deleted ann and 3 pictures" in out
    assert err == ""
    _, err = filled("delete", "cyd", "zoe", expected=2)
    assert "nobody is called zoe here; nobody was deleted" in err
    assert filled("check")[0] == "1 people, 3 pictures: whole\n"
    connection = sqlite3.connect(tmp_path / "people.gallery")
    with connection:
        connection.execute("UPDATE units SET unit = zeroblob(length(unit))")
    connection.close()
    out, _ = filled("check", "--json", expected=1)
    assert len(json.loads(out)["problems"]) == 3


def test_a_gallery_moves_to_another_file_of_the_same_model_only(filled, weights, tmp_path, capsys):
    filled("export", tmp_path / "out.jsonl")
    words = ["import", tmp_path / "out.jsonl", "--weights", weights]
    assert main(["gallery", str(tmp_path / "copy.gallery"), *map(str, words)]) == 0
    assert "added 9 pictures" in capsys.readouterr().out
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    occmask.save_weights(occmask.build("from_tiny", image_size=(56, 48)), other)
    _, err = filled("identify", tmp_path / "x.png", "--weights", other, expected=2)
    assert "templates of two models cannot be compared" in err


def test_a_missing_gallery_or_folder_is_told_and_no_file_is_made(run, people, weights, tmp_path):
    for words in (["list"], ["check"], ["identify", people / "ann" / "0.png", "--weights", weights]):
        _, err = run(*words, expected=2)
        assert "there is no gallery here" in err
    _, err = run("enrol", tmp_path / "nothing", "--weights", weights, expected=2)
    assert "no such folder" in err
    assert not (tmp_path / "people.gallery").exists()


def test_pictures_that_cannot_be_used_are_told_and_the_others_answered(filled, people, weights, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x")
    out, err = filled("identify", tmp_path / "bad.png", people / "ann" / "0.png", "--weights", weights)
    assert "skipped" in err
    assert out.count("\n") == 1
    out, err = filled("verify", "ann", tmp_path / "bad.png", "--weights", weights, expected=1)
    assert out == ""


def test_pictures_of_another_alignment_are_refused_until_it_is_said_that_they_are_the_models(run, people, tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "orl.safetensors"
    occmask.save_weights(occmask.build("from_tiny", image_size=(56, 48), template="orl"), weights)
    _, err = run("enrol", people, "--weights", weights, "--quiet", expected=2)
    assert "aligned as 'arcface' and the model was trained on 'orl'" in err
    assert not (tmp_path / "people.gallery").exists()
    out, _ = run("enrol", people, "--weights", weights, "--template", "orl", "--quiet")
    assert out.startswith("enrolled 9 pictures of 3 people into ")
    picture = people / "bob" / "1.png"
    for words in (["identify", picture], ["verify", "bob", picture]):
        _, err = run(*words, "--weights", weights, expected=2)
        assert "aligned as 'arcface'" in err
        out, _ = run(*words, "--weights", weights, "--template", "orl")
        assert "1.png" in out


def test_resizing_makes_no_other_alignment_right(run, people, weights, tmp_path):
    _, err = run("enrol", people, "--weights", weights, "--template", "orl", "--resize", "--quiet", expected=2)
    assert "--template arcface" in err
    assert not (tmp_path / "people.gallery").exists()
