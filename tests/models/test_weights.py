"""Saving and loading: round trips, and files that cannot be used."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import occmask
from occmask.models.files import read_tensors


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return occmask.build("from_tiny").eval()


@pytest.fixture
def saved(tiny, tmp_path):
    occmask.save_weights(tiny, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_a_saved_model_comes_back_bit_for_bit(tiny, saved):
    again = occmask.load_model(saved)
    images = torch.rand(3, 3, 112, 96) * 2 - 1
    with torch.inference_mode():
        a, b = tiny(images, occlusion=True, clean=True), again(images, occlusion=True, clean=True)
    assert all(x is y is None or torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert again.config == tiny.config
    assert not again.training


def test_a_file_says_what_its_input_looks_like_and_who_wrote_it(saved):
    _, metadata = read_tensors(saved)
    assert json.loads(metadata["input"])["size"] == [112, 96]
    assert metadata["occmask"] == occmask.__version__
    assert json.loads(metadata["plugins"]) == {}


def test_overridden_configs_survive_the_file(tmp_path):
    model = occmask.build("from_tiny", mask_decoder="spatial", pattern_predictor="regression", image_size=(64, 64))
    occmask.save_weights(model, tmp_path / "m.safetensors")
    assert occmask.load_model(tmp_path / "m.safetensors").config == model.config


def test_a_failed_write_leaves_the_old_file(tiny, saved, monkeypatch):
    before = saved.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(occmask.CheckpointError, match="No space left"):
        occmask.save_weights(tiny, saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_model_of_a_decorated_head_needs_it_registered_again(tmp_path):
    class Mine(nn.Module):
        def __init__(self, shapes):
            super().__init__()
            self.conv = nn.Conv2d(shapes.maps[-1].channels, 1, 1)

        def forward(self, maps):
            return occmask.Occlusion(self.conv(maps[-1]))

    registry = occmask.HEADS
    registry.register("forgotten", Mine)
    try:
        occmask.save_weights(occmask.build("from_tiny", head="forgotten"), tmp_path / "m.safetensors")
        assert occmask.load_model(tmp_path / "m.safetensors").config.head.name == "forgotten"
    finally:
        del registry._loaded["forgotten"]
    with pytest.raises(occmask.CheckpointError, match=r"needs the head 'forgotten' of module .*: import .* first"):
        occmask.load_model(tmp_path / "m.safetensors")


def truncated(path, _):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path, _):
    path.write_bytes(b"")


def foreign_text(path, _):
    path.write_text("these are not the weights you are looking for")


def foreign_safetensors(path, _):
    save_file({"weight": torch.zeros(2)}, path)


def foreign_torch(path, _):
    torch.save({"layer.weight": torch.zeros(2)}, path)


def with_code(path, _):
    torch.save({"state_dict": nn.Linear(2, 2)}, path)


def truncated_torch(path, tiny):
    torch.save(tiny.state_dict(), path)
    path.write_bytes(path.read_bytes()[:1000])


def a_list(path, _):
    torch.save([torch.zeros(2)], path)


@pytest.mark.parametrize(
    "spoil",
    [truncated, emptied, foreign_text, foreign_safetensors, foreign_torch, with_code, truncated_torch, a_list],
)
def test_spoilt_files_are_one_line_errors_and_change_nothing(spoil, saved, tiny):
    spoil(saved, tiny)
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    for read in (lambda: occmask.load_weights(tiny, saved), lambda: occmask.load_model(saved)):
        with pytest.raises(occmask.CheckpointError) as e:
            read()
        assert str(saved) in str(e.value)
        assert "\n" not in str(e.value)
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())


def test_a_missing_file_and_a_folder_are_named(tiny, tmp_path):
    with pytest.raises(occmask.CheckpointError, match="there is no weights file"):
        occmask.load_model(tmp_path / "none.safetensors")
    with pytest.raises(occmask.CheckpointError, match="is a folder"):
        occmask.load_weights(tiny, tmp_path)


def test_every_tensor_that_does_not_fit_is_named_with_both_shapes(saved):
    model = occmask.build("from_tiny", dim=64)
    with pytest.raises(occmask.CheckpointError) as e:
        occmask.load_weights(model, saved)
    assert "embedding.fc.weight: (128, 5376) in the file, (64, 5376) in the model" in str(e.value)
    assert "embedding.bn2.running_mean: (128,) in the file, (64,) in the model" in str(e.value)


def test_a_mismatch_is_explained_for_pictures_smaller_than_any_grid_too(tmp_path):
    occmask.save_weights(occmask.build("from_tiny", image_size=(16, 16), k=2), tmp_path / "small.safetensors")
    with pytest.raises(occmask.CheckpointError, match="k=2"):
        occmask.load_weights(occmask.build("from_tiny", image_size=(16, 16), k=3), tmp_path / "small.safetensors")


def test_a_headless_model_names_the_tensors_it_has_no_place_for(saved):
    with pytest.raises(
        occmask.CheckpointError, match=r"head\.mask_decoder\.0\.weight: .* in the file, not in the model"
    ):
        occmask.load_weights(occmask.build("from_tiny", head=None), saved)


def test_parts_that_do_not_exist_are_refused(saved, tiny):
    with pytest.raises(occmask.OptionError, match="backbone, embedding, head"):
        occmask.load_weights(tiny, saved, only=("trunk",))


def test_build_takes_weights(saved, tiny):
    assert torch.equal(occmask.build("from_tiny", weights=saved).embedding.fc.weight, tiny.embedding.fc.weight)
