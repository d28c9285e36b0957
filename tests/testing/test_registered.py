"""Everything registered keeps its protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import occmask.testing
from occmask import (
    BACKBONES,
    EMBEDDINGS,
    HEADS,
    MARGINS,
    MASK_DECODERS,
    MATCHERS,
    METHODS,
    OBJECTIVES,
    OCCLUDERS,
    PART_LOCATORS,
    PATTERN_PREDICTORS,
    PLACEMENTS,
    RECIPES,
    REFINERS,
    RESTORERS,
    TESTSETS,
    Spec,
)
from occmask.catalogue import KINDS
from occmask.data.faces import FaceSet
from occmask.data.pairs import FacePairs
from occmask.protocols.inputs import PartialAndWhole, ProbesAndGallery
from occmask.testing import (
    check_backbone,
    check_dataset,
    check_embedding,
    check_head,
    check_margin,
    check_mask_decoder,
    check_matcher,
    check_method,
    check_model,
    check_objective,
    check_occluder,
    check_part_locator,
    check_pattern_predictor,
    check_placement,
    check_protocol,
    check_recipe,
    check_refiner,
    check_restorer,
    check_testset,
)


@pytest.mark.parametrize("name", [name for name in BACKBONES if "resnet" not in name])
def test_every_backbone_keeps_its_protocol(name: str) -> None:
    check_backbone(name)


@pytest.mark.slow
def test_lresnet_keeps_its_protocol() -> None:
    check_backbone(Spec("lresnet", depth=18))


@pytest.mark.slow
def test_iresnet_keeps_its_protocol() -> None:  # at every depth it is lresnet's code
    check_backbone("iresnet18", image_sizes=((112, 112),))


@pytest.mark.parametrize("name", HEADS)
def test_every_head_keeps_its_protocol(name: str) -> None:
    check_head(name)


@pytest.mark.parametrize("predictor", PATTERN_PREDICTORS)
@pytest.mark.parametrize("decoder", MASK_DECODERS)
def test_froms_head_keeps_its_protocol_with_every_decoder_and_predictor(decoder: str, predictor: str) -> None:
    check_head(Spec("from", width=8, mask_decoder=decoder, pattern_predictor=predictor))


def test_froms_head_keeps_its_protocol_with_other_options() -> None:
    check_head(Spec("from", width=8, threshold=0.5, pattern_predictor=Spec("classification", k=3, dropout=0)))


@pytest.mark.parametrize("name", MASK_DECODERS)
def test_every_mask_decoder_keeps_its_protocol(name: str) -> None:
    check_mask_decoder(name)


@pytest.mark.parametrize("name", PATTERN_PREDICTORS)
@pytest.mark.parametrize("k", [1, 5, 7])
def test_every_pattern_predictor_keeps_its_protocol(name: str, k: int) -> None:
    check_pattern_predictor(Spec(name, k=k))


@pytest.mark.parametrize("name", MARGINS)
def test_every_margin_keeps_its_protocol(name: str) -> None:
    check_margin(name)


@pytest.mark.parametrize("name", ["arcface", "combined", "sphereface"])
def test_every_angular_margin_keeps_its_protocol_with_its_other_options(name: str) -> None:
    check_margin(Spec(name, monotone=True))
    check_margin(Spec(name, gradient="straight_through"), exact_gradient=False)


@pytest.mark.parametrize(
    "spec",
    [
        Spec("magface", monotone=True),
        Spec("elastic_arcface", plus=True, monotone=True),
        Spec("elastic_cosface", plus=True),
        Spec("adaface", alpha=1.0),
        Spec("curricularface", monotone=False),
        Spec("mv_arc_softmax", monotone=True, t=1.0),
    ],
    ids=repr,
)
def test_every_adaptive_or_re_weighting_margin_keeps_its_protocol_with_its_other_options(spec: Spec) -> None:
    check_margin(spec)


@pytest.mark.parametrize("name", MATCHERS)
def test_every_matcher_keeps_its_protocol(name: str) -> None:
    check_matcher(name)


@pytest.mark.parametrize("spec", [Spec("fused", share=1.0, sharpness=4.0), Spec("joint", sharpness=0.5)], ids=repr)
def test_matchers_keep_their_protocol_with_other_options(spec: Spec) -> None:
    check_matcher(spec)


@pytest.mark.parametrize("name", RESTORERS)
def test_every_restorer_keeps_its_protocol(name: str) -> None:
    check_restorer(name)


@pytest.mark.parametrize("name", PART_LOCATORS)
def test_every_part_locator_keeps_its_protocol(name: str) -> None:
    check_part_locator(name)


@pytest.mark.parametrize("name", REFINERS)
def test_every_refiner_keeps_its_protocol(name: str) -> None:
    check_refiner(name)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_every_embedding_keeps_its_protocol(name: str) -> None:
    check_embedding(name)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_keeps_its_protocol(name: str) -> None:
    check_objective(name)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_keeps_its_protocol(name: str) -> None:
    check_recipe(name)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_its_protocol(name: str) -> None:
    check_method(name)


@pytest.mark.parametrize("name", [name for name in OCCLUDERS if name != "pictures"])
def test_every_occluder_keeps_its_protocol(name: str) -> None:
    check_occluder(name)


def test_a_folder_of_pictures_keeps_the_occluders_protocol(tmp_path: Path) -> None:
    Image.new("RGB", (30, 40), (200, 10, 10)).save(tmp_path / "red.png")
    check_occluder(Spec("pictures", folder=str(tmp_path)))


@pytest.mark.parametrize("spec", [*(Spec(n) for n in PLACEMENTS if n != "area"), Spec("area", low=0.3)], ids=repr)
def test_every_placement_keeps_its_protocol(spec: Spec) -> None:
    check_placement(spec)


@pytest.mark.parametrize("name", TESTSETS)
def test_every_test_set_recipe_keeps_its_protocol(name: str) -> None:
    check_testset(name)


def test_folders_keep_the_protocol_of_data_sets(tmp_path: Path) -> None:
    for person in ("ann", "bob"):
        (tmp_path / person).mkdir()
        for index in range(2):
            Image.new("RGB", (96, 112), (100 * index, 50, len(person))).save(tmp_path / person / f"{index}.png")
    check_dataset("folder", tmp_path)


def test_orl_keeps_the_protocol_of_data_sets() -> None:
    check_dataset("orl")


@pytest.mark.parametrize(
    "spec",
    [Spec("identification"), Spec("mfr", fars=(0.1,)), Spec("pfr"), Spec("stress", gallery=2), Spec("pairs", folds=2)],
    ids=repr,
)
def test_every_protocol_keeps_its_protocol(spec: Spec) -> None:
    rng = np.random.default_rng(0)
    people = rng.integers(0, 200, (12, 1, 112, 96, 3)) + rng.integers(0, 55, (12, 4, 112, 96, 3))
    faces = FaceSet.from_arrays(people.reshape(-1, 112, 96, 3).astype(np.uint8), np.arange(12).repeat(4))
    probes, gallery = faces.select(np.arange(48) % 4 > 1), faces.select(np.arange(48) % 4 < 2)
    same = [(4 * p, 4 * p + 1, True) for p in range(12)]
    other = [(4 * p, (4 * p + 4 * q) % 48, False) for p in range(12) for q in range(1, 11)]
    rows = np.array(same[:6] + other[:60] + same[6:] + other[60:])
    left, right, genuine = rows[:, 0], rows[:, 1], rows[:, 2].astype(bool)
    data = {
        "stress": faces,
        "pfr": PartialAndWhole(probes, gallery, np.full(len(probes), 0.5)),
        "pairs": FacePairs(faces=faces, left=left, right=right, same=genuine),
    }
    check_protocol(spec, data.get(spec.name, ProbesAndGallery(probes, gallery)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["from_tiny", "iresnet18"])
def test_named_models_keep_their_protocol(name: str) -> None:  # the others are the same at other depths
    check_model(name)


def test_there_is_a_check_for_every_kind_of_component() -> None:
    checks = {name.removeprefix("check_") for name in occmask.testing.__all__}
    assert set(KINDS) <= checks
