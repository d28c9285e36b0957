"""`occmask msml-segment`: overlays, shares and measured IoU."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import torch
from occmask_msml import segment_command
from occmask_msml.measure import pixel_iou
from occmask_msml.segment_command import overlay
from PIL import Image

import occmask

SIZE = (48, 40)


@pytest.fixture
def weights(tmp_path):
    """A model that calls everything covered, so that its answers are known."""
    torch.manual_seed(0)
    small = occmask.Spec("msml", widths=(8, 8), features=4, mask_width=8)
    model = occmask.build("msml_tiny", image_size=SIZE, refiner=small)
    with torch.no_grad():
        model.refiner.coverage.weight.zero_()
        model.refiner.coverage.bias.fill_(3.0)
    occmask.save_weights(model, tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for person in ("anna", "ben"):
        (tmp_path / "faces" / person).mkdir(parents=True)
        for i in range(2):
            picture = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "faces" / person / f"{i}.png")
    return tmp_path / "faces"


def run(*words):
    parser = argparse.ArgumentParser()
    segment_command.add_arguments(parser)
    segment_command.run(parser.parse_args([str(word) for word in words]))


def test_it_draws_every_picture_and_says_how_much_is_covered(weights, folder, tmp_path, capsys):
    out = tmp_path / "overlays"
    run(folder / "anna" / "0.png", folder / "anna" / "1.png", "--weights", weights, "-o", out, "--json")
    told = json.loads(capsys.readouterr().out)["pictures"]
    assert [entry["covered"] for entry in told] == [1.0, 1.0]
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1.png"]
    assert Image.open(out / "0.png").size == (3 * SIZE[1], 3 * SIZE[0])


def test_it_measures_each_condition(weights, folder, capsys):
    run("--measure", folder, "--weights", weights, "--conditions", "clean", "area_50", "--json", "--quiet")
    found = json.loads(capsys.readouterr().out)["conditions"]
    assert found["clean"] == {"iou": 0.0, "predicted": 1.0, "covered": 0.0}
    assert found["area_50"]["iou"] == pytest.approx(0.5, abs=0.02)
    run("--measure", folder, "--weights", weights, "--conditions", "area_50", "--quiet")
    assert "area_50" in capsys.readouterr().out


def test_pictures_that_training_saw_can_be_left_out(folder):
    faces = occmask.load_faces(folder, image_size=SIZE)
    later = segment_command._later_pictures(faces, 1)
    assert later.labels.tolist() == [0, 1]
    assert all("1" in name for name in later.names)
    with pytest.raises(occmask.OptionError, match="--skip 2"):
        segment_command._later_pictures(faces, 2)


def test_what_it_cannot_do_is_said(weights, folder, tmp_path):
    picture = folder / "anna" / "0.png"
    plain = tmp_path / "plain.safetensors"
    occmask.save_weights(occmask.build("from_tiny", image_size=SIZE), plain)
    for words, told in (
        (("--weights", weights), "--measure"),
        ((picture, "--weights", weights), "--out"),
        ((picture, "--weights", plain, "-o", tmp_path / "out"), "no refiner"),
        ((picture, folder / "ben" / "0.png", "--weights", weights, "-o", tmp_path / "out"), "written over"),
        ((picture, "--weights", weights, "-o", folder / "anna"), "written over"),
    ):
        with pytest.raises(occmask.OptionError, match=told):
            run(*words)
    with pytest.raises(occmask.UnknownNameError, match="area_60"):
        run("--measure", folder, "--weights", weights, "--conditions", "area_60", "--quiet")


def test_an_overlay_changes_what_is_covered_and_little_else():
    image = np.full((20, 20, 3), 100, np.uint8)
    covered = np.zeros((20, 20), np.float32)
    covered[10:] = 1.0
    drawn = np.asarray(overlay(image, covered))
    assert (drawn[:20] == 100).all()
    assert (drawn[-20:, :, 0] > 140).all()


def test_iou_counts_shared_pixels_of_all_covered_ones():
    a, b = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    a[0, :2], b[0, 1:3] = True, True
    b[1] = True
    assert pixel_iou(a, b).tolist() == [pytest.approx(1 / 3), 0.0, 1.0]
    with pytest.raises(occmask.ShapeError):
        pixel_iou(a, b[:2])


def test_the_command_module_has_what_the_command_line_asks_for():
    assert segment_command.__doc__.count("\n") == 0
