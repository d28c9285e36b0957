"""`occmask attach`: a recogniser and a folder of anybody's faces in, a model that sees out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import occmask
from occmask.cli import main


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "mine.safetensors"
    occmask.save_weights(occmask.build("from_tiny", head=None, image_size=(32, 32)).eval(), path)
    return path


def _pictures(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def test_a_folder_of_faces_of_nobody_in_particular_is_enough(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = _pictures(tmp_path / "faces" / "anybody").parent
    out = tmp_path / "out" / "seeing.safetensors"
    assert main(["attach", str(weights), str(faces), "-o", str(out), "--steps", "2", "--quiet"]) == 0
    assert "2 steps" in capsys.readouterr().out
    plain, seeing = occmask.load_model(weights), occmask.load_model(out)
    images = torch.zeros(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(plain(images).embedding, seeing(images).embedding)
        assert seeing.occlusion(images).coverage.shape == (2, 8, 8)


def test_a_model_that_has_a_head_keeps_it_as_the_gate(tmp_path: Path) -> None:
    start = tmp_path / "from.safetensors"
    occmask.save_weights(occmask.build("from_tiny", image_size=(32, 32)).eval(), start)
    faces, out = _pictures(tmp_path / "faces" / "anybody").parent, tmp_path / "seeing.safetensors"
    assert main(["attach", str(start), str(faces), "-o", str(out), "--steps", "1", "--set", "width=8", "--quiet"]) == 0
    head = occmask.load_model(out).config.head
    assert head is not None
    assert head.options["gate"].name == "from"
    assert head.options["width"] == 8


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--steps", "0"], "at least 1"), (["--head", "from_"], "Did you mean 'from'"), (["--set", "widht=3"], "width")],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    faces, out = _pictures(tmp_path / "faces" / "anybody").parent, tmp_path / "seeing.safetensors"
    assert main(["attach", str(weights), str(faces), "-o", str(out), *words, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not out.exists()
