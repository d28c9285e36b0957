"""`occmask pdsn-dictionary`: rebuild, change, draw, measure."""

from __future__ import annotations

import argparse
import json

import pytest
import torch
from occmask_pdsn import dictionary_command, draw_dictionary
from PIL import Image

import occmask
from occmask import Spec
from occmask.cli import main


@pytest.fixture
def checkpoint(first_stage):
    return first_stage[2] / "last.safetensors"


@pytest.fixture(scope="module")
def face_folder(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    faces = small.some_faces()
    for index in range(len(faces)):
        person = folder / f"person{faces.labels[index]}"
        person.mkdir(exist_ok=True)
        Image.fromarray(faces.image(index)).save(person / f"{index}.png")
    return folder


def run(*words):
    parser = argparse.ArgumentParser()
    dictionary_command.add_arguments(parser)
    arguments = parser.parse_args([str(word) for word in words])
    dictionary_command.run(arguments)


def test_it_draws_and_says_where_features_are_discarded(checkpoint, tmp_path, capsys):
    run(checkpoint, "--figure", tmp_path / "new" / "dictionary.png")
    said = capsys.readouterr().out
    assert "inside the block" in said
    assert Image.open(tmp_path / "new" / "dictionary.png").width >= 640


def test_a_rebuilt_dictionary_is_written_and_only_the_dictionary_changes(checkpoint, face_folder, tmp_path, capsys):
    run(checkpoint, "--faces", face_folder, "--pairs", 3, "-o", tmp_path / "new.safetensors", "--quiet", "--json")
    numbers = json.loads(capsys.readouterr().out)
    assert 0 <= numbers["outside"] <= 1
    assert len(numbers["by_block"][0]) == 4
    old, new = (
        occmask.load_model(checkpoint).state_dict(),
        occmask.load_model(tmp_path / "new.safetensors").state_dict(),
    )
    assert [name for name in old if not torch.equal(old[name], new[name])] == ["head.dictionary"]


def test_another_threshold_needs_no_faces_and_is_kept_in_the_file(checkpoint, tmp_path, capsys):
    shares = []
    for threshold in (0.2, 0.8):
        out = tmp_path / f"{threshold}.safetensors"
        run(checkpoint, "--threshold", threshold, "--combination", "mean", "-o", out, "--json")
        shares.append(json.loads(capsys.readouterr().out)["inside"])
        head = occmask.load_model(out).config.head
        assert (head.options["threshold"], head.options["combination"]) == (threshold, "mean")
    assert shares[0] > shares[1]


def test_files_without_what_is_needed_are_said_so(small, checkpoint, face_folder, tmp_path):
    model, _ = small.fresh()
    occmask.save_weights(model, tmp_path / "empty.safetensors")
    with pytest.raises(occmask.OptionError, match="is empty; train by recipe 'pdsn_masks'"):
        run(tmp_path / "empty.safetensors")
    with pytest.raises(occmask.CheckpointError, match="holds no mask generators"):
        run(tmp_path / "empty.safetensors", "--faces", face_folder)
    with pytest.raises(occmask.OptionError, match="give --faces, too"):
        run(checkpoint, "--generators", checkpoint)
    with pytest.raises(occmask.OptionError, match=r"ends in \.png"):
        run(checkpoint, "--figure", tmp_path / "dictionary.what")
    other = occmask.build("from_tiny", image_size=(32, 32), head=Spec("from", width=4))
    occmask.save_weights(other, tmp_path / "from.safetensors")
    with pytest.raises(occmask.OptionError, match="this model has a FromHead"):
        run(tmp_path / "from.safetensors")


def test_the_figure_is_orange_only_where_something_is_discarded(small):
    model, _ = small.fresh()
    model.head.dictionary[0, :, 0, 0] = 1.0  # the first block's item: everything at the first of 2x2 positions
    picture = draw_dictionary(model.head).convert("RGB")
    orange = [
        (x, y)
        for x in range(0, picture.width, 4)
        for y in range(92, picture.height, 4)
        if picture.getpixel((x, y)) == (255, 122, 0)
    ]
    assert orange
    assert max(x for x, _ in orange) < picture.width / 2
    assert max(y for _, y in orange) < picture.height / 2


def test_both_stages_are_trained_from_the_command_line(face_folder, tmp_path):
    baseline = occmask.build("from_tiny", image_size=(32, 32), head=None)
    occmask.save_weights(baseline, tmp_path / "baseline.safetensors")
    first, second = tmp_path / "first", tmp_path / "second"
    shared = ["train", face_folder, "--model", "pdsn_tiny", "--set", "image_size=[32, 32]", "head__k=2", "--quiet"]
    small = ["--recipe-set", "epochs=2", "batch_size=8"]
    masks = [*small, 'placement={"name": "cell", "k": 2}']
    start = ["--start", tmp_path / "baseline.safetensors", "--out", first]
    assert main([str(word) for word in (*shared, *start, "--recipe", "pdsn_masks", *masks)]) == 0
    stage_1 = first / "last.safetensors"
    tuning = [*small, f'objective={{"name": "pdsn_tuning", "dictionary": "{stage_1}"}}']
    start = ["--start", stage_1, "--out", second]
    assert main([str(word) for word in (*shared, *start, "--recipe", "pdsn", *tuning)]) == 0
    one, two = (occmask.load_model(folder / "last.safetensors") for folder in (first, second))
    assert one.head.is_built
    assert torch.equal(one.head.dictionary, two.head.dictionary)
    assert not torch.equal(one.backbone.conv1.weight, two.backbone.conv1.weight)
