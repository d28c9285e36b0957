"""Everything registered keeps its protocol."""

from __future__ import annotations

import pytest

from occmask import (
    BACKBONES,
    HEADS,
    MARGINS,
    MASK_DECODERS,
    PART_LOCATORS,
    PATTERN_PREDICTORS,
    REFINERS,
    RESTORERS,
    Spec,
)
from occmask.testing import (
    check_backbone,
    check_head,
    check_margin,
    check_mask_decoder,
    check_part_locator,
    check_pattern_predictor,
    check_refiner,
    check_restorer,
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


@pytest.mark.parametrize("name", RESTORERS)
def test_every_restorer_keeps_its_protocol(name: str) -> None:
    check_restorer(name)


@pytest.mark.parametrize("name", PART_LOCATORS)
def test_every_part_locator_keeps_its_protocol(name: str) -> None:
    check_part_locator(name)


@pytest.mark.parametrize("name", REFINERS)
def test_every_refiner_keeps_its_protocol(name: str) -> None:
    check_refiner(name)
