"""`occmask calibrate`: the file keeps the temperature, and people and machines are told what it did."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import occmask
from occmask.cli import main
from occmask.shapes import REGIONS


def run(capsys, *words):
    code = main(["calibrate", *(str(word) for word in words), "--quiet"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for person in ("ann", "bob"):
        (root / person).mkdir()
        for number in range(3):
            small = rng.integers(0, 256, (14, 12, 3), dtype=np.uint8)
            Image.fromarray(small).resize((96, 112)).save(root / person / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    model = occmask.build("from_tiny", head=occmask.Spec("occupancy", width=4, context=4))
    model.origin["licence"] = "own"
    occmask.save_weights(model, path)
    return path


def test_the_file_keeps_the_temperature_and_everything_else(capsys, faces, weights, tmp_path):
    out, figure = tmp_path / "new" / "calibrated.safetensors", tmp_path / "reliability.png"
    code, said, err = run(capsys, weights, faces, "-o", out, "--samples", 20, "--figure", figure, "--json")
    assert (code, err) == (0, "")
    told = json.loads(said)
    before, after = occmask.load_model(weights), occmask.load_model(out)
    assert after.head.temperature == told["temperature"] == after.config.head.options["temperature"] != 1
    assert after.config.override(head__temperature=1.0) == before.config.override(head__temperature=1.0)
    assert after.origin == before.origin
    for key, tensor in after.state_dict().items():
        assert torch.equal(tensor, before.state_dict()[key])
    assert set(told["after"]) == {"cells", "anything", *REGIONS}
    with Image.open(figure) as picture:
        assert picture.width > picture.height
    code, again, _ = run(capsys, out, faces, "-o", tmp_path / "b.safetensors", "--samples", 20, "--json")
    assert code == 0
    assert json.loads(again)["temperature"] == told["temperature"]  # it is the logits that are divided, once
    assert json.loads(again)["before"] == told["after"]


def test_people_see_the_errors_before_and_after(capsys, faces, weights, tmp_path):
    changes = ["--recipe-set", "clean_share=0.5", "--seed", 3]
    code, said, _ = run(capsys, weights, faces, "-o", tmp_path / "a.safetensors", "--samples", 12, *changes)
    assert code == 0
    rows = said.splitlines()
    assert rows[0].startswith("temperature ")
    assert len(rows) == 2 + 2 + len(REGIONS)
    assert rows[2].startswith("cells of the map")


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--recipe", "baseline"], "covers no face"),
        (["--figure", "{tmp}/a.xyz"], ".png"),
        (["--samples", "0"], "samples"),
        (["--template", "orl"], "aligned"),
    ],
)
def test_what_cannot_be_is_one_line(capsys, words, expected, faces, weights, tmp_path):
    out = tmp_path / "a.safetensors"
    code, _, err = run(capsys, weights, faces, "-o", out, *(word.format(tmp=tmp_path) for word in words))
    assert code == 2
    assert expected in err
    assert err.count("\n") == 1
    assert not out.exists()
