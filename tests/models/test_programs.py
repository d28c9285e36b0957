"""Exported programs answer as the model does, at any batch size, without occmask; what cannot be exported says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import occmask
from occmask.cli import main
from occmask.errors import CheckpointError, OptionError
from occmask.heads.from_head import FromHead
from occmask.models import programs
from occmask.models.face import FaceModel
from occmask.models.programs import FaceProgram, Run

ONNX = pytest.mark.skipif(
    any(programs.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs the extra onnx",
)
KINDS = ["pt2", pytest.param("onnx", marks=ONNX)]
MODELS: dict[str, dict[str, Any]] = {
    "classification": {},
    "regression": {"pattern_predictor": "regression"},
    "spatial": {"mask_decoder": "spatial"},
    "vector": {"mask_decoder": "vector"},
    "deep and hard": {"mask_decoder": "deep", "threshold": 0.5},
    "no head": {"head": None},
}


def trained(**overrides: Any) -> FaceModel:
    """A model whose BatchNorms have seen something, so that nothing is hidden behind identities."""
    torch.manual_seed(0)
    model = occmask.build("from_tiny", **overrides)
    height, width = model.config.image_size
    for _ in range(3):
        model(torch.rand(8, 3, height, width) * 2 - 1)
    return model.eval()


def answers(path: Path, images: Tensor) -> dict[str, Tensor]:
    if path.suffix == ".pt2":
        found: dict[str, Tensor] = torch.export.load(path).module()(images)
        return found
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return {n: torch.from_numpy(a) for n, a in zip(names, session.run(names, {"images": images.numpy()}), strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_a_program_agrees_with_the_model_at_any_batch(kind: str, name: str, tmp_path: Path) -> None:
    model = trained(**MODELS[name])
    path = tmp_path / f"face.{kind}"
    report = occmask.export(model, path)
    assert isinstance(report, occmask.ExportReport)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert ("cells" in report.difference) == (model.head is not None)
    for count in (1, 3, 16):
        images = torch.nn.functional.interpolate(torch.rand(count, 3, 9, 8) * 2 - 1, (112, 96))
        with torch.inference_mode():
            output = model(images, occlusion=model.head is not None)
        found = answers(path, images)
        assert (found["embedding"] - output.embedding).abs().max() < 1e-4
        if model.head is None:
            assert set(found) == {"embedding"}
            continue
        answer = model.occlusion_answer(output)
        assert (found["cells"] - answer.cells).abs().max() < 1e-4
        assert (found["covered"] - answer.covered).abs().max() < 1e-4
        assert ((found["box"] - answer.box).abs().amax(1) < 1e-4).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_published_network_exports(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    report = occmask.export(occmask.build("from_r18"), tmp_path / f"face.{kind}")
    assert max(report.difference.values()) < 1e-4


def test_a_program_needs_no_occmask_and_says_what_it_takes(tmp_path: Path) -> None:
    model = trained(head=None, template="orl")
    occmask.export(model, tmp_path / "face.pt2")
    code = (
        "import sys, torch\nfiles = {'occmask.json': ''}\n"
        "program = torch.export.load('face.pt2', extra_files=files).module()\n"
        "assert program(torch.zeros(2, 3, 112, 96))['embedding'].shape == (2, 128)\n"
        "assert not any(name.startswith('occmask') for name in sys.modules)\nprint(files['occmask.json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(json.loads(done.stdout)["input"])["template"] == "orl"


@ONNX
def test_an_onnx_file_says_what_it_takes_and_can_hold_embeddings_alone(tmp_path: Path) -> None:
    import onnxruntime

    occmask.export(trained(), tmp_path / "face.onnx", occlusion=False)
    session = onnxruntime.InferenceSession(tmp_path / "face.onnx")
    assert [output.name for output in session.get_outputs()] == ["embedding"]
    assert json.loads(session.get_modelmeta().custom_metadata_map["input"])["colour"] == "RGB"


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = occmask.build("from_tiny", head=None).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    occmask.export(model, tmp_path / "face.pt2")
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_cannot_be_exported_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trained(head=None)
    with pytest.raises(OptionError, match=r"\.pt2 .* or \.onnx, not '\.pth'"):
        occmask.export(plain, tmp_path / "face.pth")
    with pytest.raises(OptionError, match="without a head"):
        occmask.export(plain, tmp_path / "face.pt2", occlusion=True)
    with pytest.raises(OptionError, match="export the original"):
        occmask.export(occmask.optimize(plain), tmp_path / "face.pt2")

    @occmask.HEADS.register("peeking")
    class Peeking(FromHead):
        def mask_logits(self, maps: Any) -> Tensor:
            logits = super().mask_logits(maps)
            return logits if logits.sum() > 0 else -logits  # decided by numbers: no graph has both

    with pytest.raises(OptionError, match="cannot be exported"):
        occmask.export(trained(head="peeking"), tmp_path / "face.pt2")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot write"):
        occmask.export(plain, tmp_path / "file" / "face.pt2")
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'occmask\[onnx\]'"):
        occmask.export(plain, tmp_path / "face.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_program_that_answers_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(program: Any, path: Path, metadata: Any) -> Any:
        path.write_bytes(b"program")
        return lambda images: {"embedding": program(images)["embedding"] + 1e-3}

    monkeypatch.setattr(programs, "_write_program", wrong)
    with pytest.raises(CheckpointError, match=r"not written: .* embedding by 1\.0e-03"):
        occmask.export(trained(head=None), tmp_path / "face.pt2")
    assert not list(tmp_path.iterdir())


def test_the_command_prints_the_parity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    occmask.save_weights(trained(), tmp_path / "model.safetensors")
    words = ["export", str(tmp_path / "model.safetensors"), "-o", str(tmp_path / "new" / "face.pt2")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "any batch size" in told
    assert "embedding" in told
    assert "cells" in told
    assert main([*words, "--embedding-only", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["difference"]) == ["embedding"]
    assert found["faces"] == 20
    assert np.isfinite(found["difference"]["embedding"])


def test_the_weights_of_an_onnx_file_are_in_place_before_the_graph_that_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []

    def in_two_files(program: FaceProgram, path: Path, metadata: dict[str, str]) -> Run:
        path.write_bytes(b"graph")
        path.with_name(path.name + ".data").write_bytes(b"weights")
        return program

    def replace(source: Path, target: Path) -> None:
        moved.append(target.name)

    monkeypatch.setattr(programs, "_write_onnx", in_two_files)
    monkeypatch.setattr(programs.os, "replace", replace)
    occmask.export(trained(head=None), tmp_path / "face.onnx")
    assert moved == ["face.onnx.data", "face.onnx"]


FULL = """
import resource, sys
from occmask.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
sys.exit(main(["export", sys.argv[1], "-o", sys.argv[2]]))
"""


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    occmask.save_weights(trained(), tmp_path / "tiny.safetensors")
    target = tmp_path / "out" / "face.pt2"
    words = [sys.executable, "-c", FULL, str(tmp_path / "tiny.safetensors"), str(target)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-500:]
    assert done.stderr.startswith(f"occmask export: error: cannot write {target}: File too large")
    assert list(target.parent.iterdir()) == []
