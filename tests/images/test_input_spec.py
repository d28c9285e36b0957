"""`InputSpec`: what a model takes travels with it, and pictures of another kind are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import occmask
from occmask.data.faces import FaceSet
from occmask.errors import DataError, OptionError, ShapeError
from occmask.images.input_spec import InputSpec
from occmask.images.pixels import to_tensor
from occmask.training.loop import train
from occmask.training.recipe import recipe_named


def test_a_spec_survives_json() -> None:
    spec = InputSpec(size=(112, 112), template="mine", colour="BGR", mean=0, scale=255)
    assert InputSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize("wrong", [{"colour": "GRB"}, {"scale": 0}, {"template": ""}])
def test_values_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        InputSpec(**wrong)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="Did you mean 'colour'"):
        InputSpec.from_dict({"color": "RGB"})


def test_a_tensor_has_the_colours_and_the_scale_of_the_spec() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    spec = InputSpec(size=(5, 4), colour="BGR", mean=10, scale=2)
    expected = (torch.from_numpy(pixels[..., ::-1].copy()).permute(0, 3, 1, 2).float() - 10) / 2
    assert torch.equal(to_tensor(pixels, spec), expected)
    with pytest.raises(ShapeError, match=r"\(4, 4\)"):
        to_tensor(pixels, InputSpec(size=(4, 4)))


def test_a_checkpoint_carries_its_spec(tmp_path: Path) -> None:
    model = occmask.build("from_tiny", template="orl", colour="BGR", mean=0.0, scale=255.0)
    occmask.save_weights(model, tmp_path / "model.safetensors")
    spec = occmask.load_model(tmp_path / "model.safetensors").config.input_spec
    assert spec == InputSpec(size=(112, 96), template="orl", colour="BGR", mean=0, scale=255)


def test_training_on_pictures_of_another_alignment_or_size_is_refused() -> None:
    images = np.zeros((4, 112, 96, 3), np.uint8)
    faces = FaceSet.from_arrays(images, [0, 0, 1, 1], template="orl")
    model = occmask.build("from_tiny", head=None)
    loss = occmask.build_loss("cosface", embedding_dim=128, num_classes=2)
    recipe = recipe_named("baseline", epochs=1, batch_size=4)
    with pytest.raises(DataError, match=r"aligned as 'orl'.*trained on 'arcface'.*occmask align"):
        train(model, loss, faces, recipe, progress=False)
    square = FaceSet.from_arrays(np.zeros((4, 112, 112, 3), np.uint8), [0, 0, 1, 1])
    with pytest.raises(DataError, match=r"112x112.*112x96.*image_size"):
        train(model, loss, square, recipe, progress=False)
