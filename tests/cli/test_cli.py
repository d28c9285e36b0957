"""The command line, run in process: what it prints, and what bad input gives."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import occmask
from occmask.cli import COMMANDS, main


def run(capsys, *words):
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for person in ("ann", "bob", "cyd", "dan"):
        (root / person).mkdir()
        base = rng.integers(0, 256, (28, 24, 3))
        for number in range(6):
            noisy = np.clip(base + rng.integers(-20, 20, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).resize((96, 112)).save(root / person / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    occmask.save_weights(occmask.build("from_tiny"), path)
    return path


def test_list_names_models_and_components(capsys):
    code, out, _ = run(capsys, "list", "from_r50*")
    assert code == 0
    assert out.split() == ["from_r50", "from_r50_deep", "from_r50_regression", "from_r50_spatial", "from_r50_vector"]
    _, out, _ = run(capsys, "list", "--kind", "margin", "--json")
    assert json.loads(out) == list(occmask.MARGINS)


def test_list_imports_no_torch():
    code = "import sys; from occmask.cli import main; main(['list']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_show_counts_parameters(capsys):
    code, out, _ = run(capsys, "show", "from_tiny", "--json", "--set", "mask_decoder=spatial")
    shown = json.loads(out)
    model = occmask.build("from_tiny", mask_decoder="spatial")
    assert code == 0
    assert shown["parameters"]["head"] == sum(p.numel() for p in model.head.parameters())
    assert shown["config"] == model.config.to_dict()
    _, out, _ = run(capsys, "show", "--kind", "head", "from")
    assert "mask_decoder" in out
    _, out, _ = run(capsys, "show", "from_tiny")
    assert "M" in out


def test_train_then_second_stage_then_evaluate(capsys, faces, tmp_path):
    quick = ["--recipe-set", "batch_size=8", "--recipe-set", "epochs=1", "--quiet", "--model", "from_tiny"]
    code, out, err = run(capsys, "train", faces, "--out", tmp_path / "a", "--recipe", "baseline", *quick)
    assert (code, err) == (0, "")
    assert "3 steps" in out
    baseline = tmp_path / "a" / "last.safetensors"
    code, out, err = run(capsys, "train", faces, "--out", tmp_path / "b", "--start", baseline, *quick)
    assert code == 0, err
    trained = tmp_path / "b" / "last.safetensors"
    rerun = ["train", faces, "--out", tmp_path / "b", *quick]
    code, _, err = run(capsys, *rerun, "--start", baseline)
    assert code == 2
    assert "exists already" in err
    assert run(capsys, *rerun, "--resume")[0] == 0
    quick = ["--set", "areas=[0.4]", "--set", "occluders=[]", "--set", "cells=null", "--json", "--quiet"]
    code, out, err = run(capsys, "evaluate", trained, faces, *quick)
    assert (code, err) == (0, "")
    figures = json.loads(out)["figures"]
    assert set(figures) == {"clean", "area_40"}
    assert 0 <= figures["area_40"]["rank1"]["value"] <= 1


def test_explain_draws_the_answer(capsys, faces, weights, tmp_path):
    out_file = tmp_path / "new" / "answer.png"
    code, out, err = run(capsys, "explain", faces / "ann" / "0.png", "--weights", weights, "-o", out_file, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert np.shape(answer["cells"]) == (5, 5)
    with Image.open(out_file) as picture:
        assert picture.size[0] > 2 * 4 * 96
        assert picture.size[1] > 4 * 112
    code, out, _ = run(capsys, "explain", faces / "ann" / "0.png", "--weights", weights, "-o", out_file)
    assert f"{answer['covered']:.2f}" in out


def test_doctor_checks_itself(capsys):
    code, out, _ = run(capsys, "doctor", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["self-check"]["passed"]
    assert found["packages"]["torch"] == torch.__version__
    code, out, _ = run(capsys, "doctor")
    assert "self-check  passed" in out


def spoil(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


def test_unreadable_faces_are_refused_by_name_or_skipped_by_name(capsys, faces, tmp_path):
    import shutil

    root = tmp_path / "faces"
    shutil.copytree(faces, root)
    spoil(root / "ann", "torn.png", (root / "ann" / "0.png").read_bytes()[:50])
    spoil(root / "bob", "notes.jpg", b"no picture")
    quick = ["--recipe", "baseline", "--model", "from_tiny", "--recipe-set", "batch_size=8", "--recipe-set", "epochs=1"]
    code, _, err = run(capsys, "train", root, "--out", tmp_path / "a", *quick, "--quiet")
    assert code == 2
    assert "torn.png" in err
    assert "notes.jpg" in err
    assert err.count("\n") == 1
    code, _, err = run(capsys, "train", root, "--out", tmp_path / "a", *quick, "--quiet", "--unreadable", "skip")
    assert code == 0
    assert [line.split(":")[0].rsplit("/", 1)[1] for line in err.splitlines()] == ["torn.png", "notes.jpg"]


@pytest.mark.parametrize(
    "words, expected",
    [
        (["show", "from_r05"], "Did you mean 'from_r50'"),
        (["show", "from_tiny", "--set", "k"], "name=value"),
        (["show", "from_tiny", "--set", "kk=3"], "no setting 'kk'"),
        (["train", "{faces}", "--out", "{tmp}/x", "--model", "from_tiny"], "train that (--recipe baseline)"),
        (
            ["train", "{tmp}/none", "--out", "{tmp}/x", "--model", "from_tiny", "--recipe", "baseline"],
            "no such file or folder",
        ),
        (["train", "{tmp}/one", "--out", "{tmp}/x", "--model", "from_tiny", "--recipe", "baseline"], "2 people"),
        (["train", "{tmp}/empty", "--out", "{tmp}/x", "--model", "from_tiny", "--recipe", "baseline"], "{tmp}/empty"),
        (["train", "{faces}", "--out", "{weights}/x", "--model", "from_tiny", "--recipe", "baseline"], "another one"),
        (["evaluate", "{tmp}/none.safetensors", "orl"], "no weights file"),
        (["explain", "{tmp}/none.png", "--weights", "{weights}", "-o", "{tmp}/o.png"], "none.png"),
        (["explain", "{faces}/ann/0.png", "--weights", "{weights}", "-o", "{tmp}/o.xyz"], ".png"),
        (["explain", "{faces}/ann/0.png", "--weights", "{weights}", "-o", "{tmp}"], "is a folder"),
        (["demo", "--recipes", "form"], "no recipe of the demo is called 'form'"),
        (["demo", "--recipes", ","], "names at least one"),
        (["demo", "--seeds", "0"], "seeds is a positive"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_2(capsys, words, expected, faces, weights, tmp_path):
    (tmp_path / "empty").mkdir()
    one = tmp_path / "one" / "only"
    one.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (96, 112)).save(one / f"{number}.png")
    names = {"faces": faces, "weights": weights, "tmp": tmp_path}
    code, out, err = run(capsys, *(word.format(**names) for word in words))
    assert code == 2
    assert out == ""
    assert expected.format(**names) in err
    assert err.count("\n") == 1
    assert err.startswith(f"occmask {words[0]}: error: ")


@pytest.mark.parametrize("words", [["shw"], ["train"], ["list", "--kind", "hed"], ["demo", "--seeds", "many"], []])
def test_misused_commands_are_one_line_and_exit_2(capsys, words):
    with pytest.raises(SystemExit) as e:
        main(words)
    err = capsys.readouterr().err
    assert e.value.code == 2
    assert err.count("\n") == 1
    assert "--help" in err


def test_debug_shows_the_traceback():
    with pytest.raises(occmask.UnknownNameError):
        main(["show", "nobody", "--debug"])


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as e:
        main([command, "--help"])
    assert e.value.code == 0
    assert COMMANDS[command][1:] in capsys.readouterr().out


def test_python_dash_m_works():
    result = subprocess.run([sys.executable, "-m", "occmask", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == f"occmask {occmask.__version__}"


def test_ctrl_c_while_a_command_is_imported_is_one_line(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("occmask.cli.import_module", interrupted)
    assert run(capsys, "evaluate", "a.safetensors", "b.bin") == (130, "", "occmask: stopped\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--recipe-set", "batch_size=64.5"], "batch_size is a whole number, not 64.5"),
        (["--recipe-set", "flip=no"], "flip is true or false, not 'no'"),
        (["--workers", "-1"], "--workers is zero or more, not -1"),
    ],
)
def test_a_setting_of_training_that_cannot_be_is_refused_before_it_starts(capsys, faces, tmp_path, words, told):
    begin = ["train", faces, "--out", tmp_path / "run", "--recipe", "baseline", "--model", "from_tiny"]
    code, _, err = run(capsys, *begin, *words)
    assert (code, err.count("\n")) == (2, 1)
    assert told in err
