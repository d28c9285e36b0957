"""`occmask import` from the command line."""

from __future__ import annotations

import json

import pytest
import torch

import occmask
from occmask.cli import main


def norm(name, size):
    kinds = {"weight": torch.ones(size), "bias": torch.zeros(size)}
    kinds |= {"running_mean": torch.zeros(size), "running_var": torch.ones(size)}
    return {f"{name}.{kind}": value for kind, value in kinds.items()}


def ir18():
    """The tensors of AdaFace's IR-18, in its names."""
    generator = torch.Generator().manual_seed(0)

    def weight(name, *shape):
        fan = shape[1] * (shape[2] * shape[3] if len(shape) == 4 else 1)
        return {f"{name}.weight": torch.randn(shape, generator=generator) * fan**-0.5}

    state = {"input_layer.2.weight": torch.full((64,), 0.25)} | weight("input_layer.0", 64, 3, 3, 3)
    state |= norm("input_layer.1", 64)
    before = 64
    for n, width in enumerate((64, 64, 128, 128, 256, 256, 512, 512)):
        at = f"body.{n}"
        state |= norm(f"{at}.res_layer.0", before) | norm(f"{at}.res_layer.2", width)
        state |= norm(f"{at}.res_layer.5", width) | {f"{at}.res_layer.3.weight": torch.full((width,), 0.25)}
        state |= weight(f"{at}.res_layer.1", width, before, 3, 3) | weight(f"{at}.res_layer.4", width, width, 3, 3)
        if width != before:
            state |= weight(f"{at}.shortcut_layer.0", width, before, 1, 1) | norm(f"{at}.shortcut_layer.1", width)
        before = width
    state |= norm("output_layer.0", 512) | weight("output_layer.3", 512, 25088)
    last = norm("output_layer.4", 512)
    state |= {"output_layer.3.bias": torch.zeros(512)}
    return state | {name: value for name, value in last.items() if "running" in name}


@pytest.fixture(scope="module")
def adaface(tmp_path_factory):
    path = tmp_path_factory.mktemp("adaface") / "adaface.ckpt"
    torch.save({"state_dict": {f"model.{name}": tensor for name, tensor in ir18().items()}}, path)
    return path


def test_an_import_says_what_it_did_and_writes_a_file_that_loads(adaface, tmp_path, capsys):
    out = tmp_path / "adaface.safetensors"
    assert main(["import", str(adaface), "-o", str(out), "--licence", "MIT, says the author"]) == 0
    said = capsys.readouterr()
    assert "AdaFace IR, 18 layers, trained on 112x112 BGR" in said.out
    assert "this model takes RGB" in said.out
    assert "parity     largest difference of a unit embedding" in said.out
    assert "licence    MIT, says the author" in said.out
    assert not said.err
    model = occmask.load_model(out)
    assert model.config.image_size == (112, 112)
    assert model.config.colour == "RGB"


def test_a_licence_that_nobody_states_is_said_to_be_so(adaface, tmp_path, capsys):
    assert main(["import", str(adaface), "-o", str(tmp_path / "a.safetensors")]) == 0
    said = capsys.readouterr()
    assert "not stated by the person who imported it" in said.out
    assert "--licence" in said.err


def test_json_holds_every_name_and_the_parity(adaface, tmp_path, capsys):
    out = tmp_path / "adaface.safetensors"
    assert main(["import", str(adaface), "-o", str(out), "--layout", "tface", "--colour", "RGB", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["layout"], shown["colour"]) == ("tface", "RGB")
    assert shown["parity"]["embedding"] < 1e-4
    assert shown["unused"] == []
    assert "backbone.layer1.0.downsample.0.weight" in shown["converted"]
    assert all(name.endswith("num_batches_tracked") for name in shown["missing"])
    assert occmask.ModelConfig.from_dict(shown["config"]) == occmask.load_model(out).config


def test_a_file_that_does_not_fit_is_one_line_and_nothing_is_written(tmp_path, capsys):
    state = ir18()
    del state["body.3.res_layer.1.weight"]
    torch.save(state, tmp_path / "spoilt.pth")
    out = tmp_path / "out.safetensors"
    assert main(["import", str(tmp_path / "spoilt.pth"), "-o", str(out), "--layout", "tface"]) == 2
    said = capsys.readouterr().err
    assert "body.3.res_layer.1.weight in the file): missing" in said
    assert said.count("\n") == 1
    assert not out.exists()
