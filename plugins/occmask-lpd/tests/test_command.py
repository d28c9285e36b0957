"""`occmask lpd-parts`: pictures of the located part."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import torch
from occmask_lpd import parts_command
from PIL import Image

import occmask


def run(*words: str) -> None:
    parser = argparse.ArgumentParser()
    parts_command.add_arguments(parser)
    parts_command.run(parser.parse_args([*words]))


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "lpd.safetensors"
    occmask.save_weights(occmask.build("lpd_tiny", template="orl").eval(), path)
    return path


@pytest.fixture
def people(tmp_path):
    rng = np.random.default_rng(0)
    for person in ("ann", "bob"):
        (tmp_path / "faces" / person).mkdir(parents=True)
        for number in (1, 2):  # the same names for both
            picture = Image.fromarray(rng.integers(0, 256, (112, 96, 3), dtype=np.uint8))
            picture.save(tmp_path / "faces" / person / f"{number}.png")
    return tmp_path / "faces"


def test_every_face_becomes_a_picture_with_its_box(weights, people, tmp_path, capsys):
    run(str(people), str(tmp_path / "out"), "--weights", str(weights), "--template", "orl", "--json", "--quiet")
    told = json.loads(capsys.readouterr().out)
    assert len(told) == len(list((tmp_path / "out").iterdir())) == 4
    for entry in told:
        assert entry["box"] == pytest.approx([0.025, 0.0, 0.975, 0.64], abs=0.06)
        assert Image.open(entry["picture"]).size == (4 * 96, 4 * 112)


def test_only_the_first_faces_if_asked(weights, people, tmp_path, capsys):
    run(str(people), str(tmp_path / "out"), "--weights", str(weights), "--template", "orl", "--first", "3", "--quiet")
    assert "3 pictures" in capsys.readouterr().err
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_the_part_is_bright_and_the_rest_dark():
    drawn = np.asarray(parts_command.draw_part(np.full((112, 96, 3), 200, np.uint8), np.array([0, 0, 0.5, 0.5])))
    assert drawn.shape == (448, 384, 3)
    assert (drawn[100, 100] == 200).all()
    assert (drawn[400, 300] == 100).all()
    assert (drawn[0, 50] == (255, 210, 0)).all()


def test_a_box_beyond_the_picture_is_drawn_at_its_border():
    drawn = np.asarray(parts_command.draw_part(np.full((112, 96, 3), 200, np.uint8), np.array([-0.5, -0.2, 1.5, 1.2])))
    assert (drawn[0, 0] == (255, 210, 0)).all()
    assert (drawn[-1, -1] == (255, 210, 0)).all()


def test_a_model_without_a_part_and_faces_of_another_alignment_are_refused(weights, people, tmp_path):
    occmask.save_weights(occmask.build("from_tiny", head=None), tmp_path / "plain.safetensors")
    with pytest.raises(occmask.OptionError, match="looks at the whole face only"):
        run(str(people), str(tmp_path / "out"), "--weights", str(tmp_path / "plain.safetensors"), "--quiet")
    with pytest.raises(occmask.DataError, match="aligned"):
        run(str(people), str(tmp_path / "out"), "--weights", str(weights), "--quiet")
    with pytest.raises(occmask.OptionError, match="--first"):
        run(str(people), str(tmp_path / "out"), "--weights", str(weights), "--first", "0", "--quiet")
