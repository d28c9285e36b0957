"""A protocol run on a model: the model sees what it was trained on, and the result says what was measured."""

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import occmask
from occmask.data.faces import FaceSet
from occmask.errors import DataError, OptionError, ProtocolError
from occmask.evaluation.recognition import Verification
from occmask.images.pixels import to_tensor
from occmask.measure.protocols import embedder_of, fingerprint, locator, run_protocol
from occmask.protocols.inputs import Faces, Pairs, PartialAndWhole, ProbesAndGallery
from occmask.protocols.megaface import WithDistractors
from occmask.protocols.result import Result
from occmask.protocols.stress import Stress

SIZE = (56, 48)
QUICK = {"areas": (0.3,), "occluders": (), "cells": None, "resamples": 5}


def make_model(name="from_tiny", **changes):
    torch.manual_seed(0)
    return occmask.build(name, **{"image_size": SIZE, **changes}).eval()


def make_faces(**options):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 7, 6, 3)).repeat(8, 1).repeat(8, 2).astype(np.uint8).repeat(2, 0)
    return FaceSet.from_arrays(images, np.repeat(np.arange(4), 2), **options)


@pytest.fixture(scope="module")
def model():
    return make_model()


def test_a_result_says_which_model_which_data_and_which_versions(model):
    counted = []
    result = run_protocol(
        Stress(**QUICK), model, make_faces(), model_name="tiny", data_name="mine", progress=counted.append
    )
    assert result.model == {
        "name": "tiny",
        "fingerprint": fingerprint(model),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    assert (result.data["name"], result.data["size"], result.data["template"]) == ("mine", list(SIZE), "arcface")
    assert result.versions["torch"] == torch.__version__
    assert set(result.versions) == {"occmask", "torch", "numpy", "python"}
    assert sum(counted) == 8 + 4
    assert Result.from_dict(result.to_dict()).to_dict() == result.to_dict()
    unnamed = run_protocol(Stress(**QUICK), model, make_faces())
    assert unnamed.model["name"] == "tiny with head from"
    assert unnamed.data["name"] == "faces"


def test_the_fingerprint_follows_every_tensor_and_survives_saving(model, tmp_path):
    occmask.save_weights(model, tmp_path / "a.safetensors")
    again = occmask.load_model(tmp_path / "a.safetensors")
    assert fingerprint(again) == fingerprint(model)
    seen = {fingerprint(model)}
    for tensor in again.state_dict().values():
        tensor.add_(1)
        seen.add(fingerprint(again))
    assert len(seen) == 1 + len(again.state_dict())


def test_pictures_enter_as_the_models_input_spec_says(model):
    images = make_faces().images()
    with torch.inference_mode():
        plain = model(to_tensor(images)).embedding.numpy()
    assert np.array_equal(embedder_of(model)(images), plain)
    swapped = make_model(colour="BGR", mean=100.0)
    swapped.load_state_dict(model.state_dict())
    with torch.inference_mode():
        expected = model((to_tensor(images[..., ::-1]) * 127.5 + 27.5) / 127.5).embedding.numpy()
    assert embedder_of(swapped)(images) == pytest.approx(expected, abs=1e-4)


def test_a_model_with_a_head_is_asked_where_faces_are_covered(model):
    images = make_faces().images()
    with torch.inference_mode():
        expected = model.occlusion_answer(model(to_tensor(images), occlusion=True)).box.numpy()
    assert np.array_equal(locator(model)(images), expected)
    assert "iou" in run_protocol(Stress(**QUICK), model, make_faces()).figures["area_30"]
    without = run_protocol(Stress(**QUICK), make_model(head=None), make_faces())
    assert "iou" not in without.figures["area_30"]
    assert without.model["name"] == "tiny"


def test_pictures_of_another_size_or_alignment_are_refused(model):
    with pytest.raises(DataError, match="aligned as 'orl' and the model was trained on 'arcface'"):
        run_protocol(Stress(**QUICK), model, make_faces(template="orl"))
    with pytest.raises(DataError, match="the model takes 64x48"):
        run_protocol(Stress(**QUICK), make_model(image_size=(64, 48)), make_faces())

    def of_pairs(embed, data: Pairs):
        raise AssertionError("must not be reached")

    faces = make_faces(template="orl")
    with pytest.raises(DataError, match="aligned as 'orl'"):
        run_protocol(of_pairs, model, SimpleNamespace(faces=faces, left=[0], right=[1], same=[True]))
    with pytest.raises(DataError, match="aligned as 'orl'"):
        run_protocol(lambda embed, data: None, model, SimpleNamespace(probes=make_faces(), gallery=faces))
    with pytest.raises(DataError, match="aligned as 'orl'"):
        run_protocol(lambda embed, data: None, model, {"scarf": SimpleNamespace(probes=make_faces(), gallery=faces)})


def _named(annotation):
    """A protocol that takes data of this kind."""

    def protocol(embed, data):
        raise AssertionError("must not be reached")

    protocol.__annotations__["data"] = annotation
    return protocol


@pytest.mark.parametrize(
    ("annotation", "data", "said"),
    [
        (Pairs, make_faces(), "measures pairs"),
        (ProbesAndGallery | Mapping[str, ProbesAndGallery], make_faces(), "probes against a gallery"),
        (WithDistractors, make_faces(), "probes among distractors"),
        (PartialAndWhole, ProbesAndGallery(make_faces(), make_faces()), "partial faces against whole ones"),
        (Faces, SimpleNamespace(faces=make_faces(), same=[True]), "one set of faces"),
        (Faces, SimpleNamespace(probes=make_faces(), gallery=make_faces()), "one set of faces"),
    ],
)
def test_data_of_another_kind_than_the_protocols_are_refused(model, annotation, data, said):
    with pytest.raises(ProtocolError, match=said):
        run_protocol(_named(annotation), model, data)


def test_what_cannot_be_run_is_refused(model):
    with pytest.raises(ProtocolError, match="Verification takes arrays"):
        run_protocol(Verification(), model, make_faces())
    with pytest.raises(ProtocolError, match="training mode"):
        run_protocol(Stress(**QUICK), occmask.build("from_tiny"), make_faces())
    with pytest.raises(OptionError, match="'gpu' cannot be used here"):
        run_protocol(Stress(**QUICK), model, make_faces(), device="gpu")
