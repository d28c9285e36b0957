"""Configs, overrides, the builder's errors."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import occmask
from occmask import ModelConfig, Spec
from occmask.catalogue import KINDS


@pytest.mark.parametrize("name", occmask.list_models())
def test_every_preset_is_a_round_trip_through_json_and_hashable(name):
    config = occmask.MODELS[name]()
    again = ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert hash(again) == hash(config)


def test_the_issue_s_presets_are_there_in_natural_order():
    names = occmask.list_models("from_*")
    assert names.index("from_r18") < names.index("from_r50") < names.index("from_r100")
    wanted = "from_r18 from_r34 from_r50 from_r100 from_r50_spatial from_r50_vector from_r50_deep from_r50_regression"
    assert {*wanted.split(), "from_tiny"} <= set(names)
    assert "baseline_r50" in occmask.list_models()


@pytest.mark.parametrize(
    "changes, path, value",
    [
        ({"mask_decoder": "spatial"}, ("head", "mask_decoder"), "spatial"),
        ({"head__mask_decoder": "spatial"}, ("head", "mask_decoder"), "spatial"),
        ({"head.mask_decoder": "spatial"}, ("head", "mask_decoder"), "spatial"),
        ({"depth": 18}, ("backbone", "depth"), 18),
        ({"dim": 256}, ("embedding", "dim"), 256),
        ({"threshold": 0.5}, ("head", "threshold"), 0.5),
    ],
)
def test_overrides_find_their_owner(changes, path, value):
    component, option = path
    assert getattr(occmask.MODELS["from_r50"]().override(**changes), component).options[option] == value


def test_an_option_deep_inside_keeps_its_neighbours():
    config = occmask.MODELS["from_r50"]().override(head__pattern_predictor__k=4)
    assert config.head.options["pattern_predictor"] == Spec("classification", k=4)
    assert config.head.options["mask_decoder"] == "full"
    assert occmask.MODELS["from_r50"]().override(k=4) == config


def test_swapping_a_component_resets_its_options():
    config = occmask.MODELS["from_tiny"]().override(head="from")
    assert config.head == Spec("from")


def test_overriding_twice_is_overriding_in_order():
    config = ModelConfig().override(depth=18, head__threshold=0.5)
    assert config == ModelConfig().override(depth=18).override(threshold=0.5)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: occmask.build("from_r05"), occmask.UnknownNameError, "Did you mean 'from_r50'"),
        (lambda: occmask.build("from_tiny", head="form"), occmask.UnknownNameError, "Did you mean 'from'"),
        (lambda: occmask.build("from_tiny", head=Spec("from", widht=3)), occmask.OptionError, "Did you mean 'width'"),
        (lambda: occmask.build("from_tiny", mask_decodr="full"), occmask.OptionError, "Did you mean 'mask_decoder'"),
        (lambda: occmask.build("from_tiny", dropout=0.1), occmask.OptionError, "'embedding__dropout' and 'head__patt"),
        (lambda: occmask.build("from_tiny", head=None, head__width=3), occmask.OptionError, "head is None"),
        (lambda: occmask.build("from_tiny", head__width__x=3), occmask.OptionError, "head.width is not a component"),
        (lambda: occmask.build("from_tiny", image_size=112), occmask.OptionError, r"image_size is \(height, width\)"),
        (lambda: occmask.build("from_tiny", embedding=None), occmask.OptionError, "may be None"),
        (lambda: occmask.build("from_tiny", width=0), occmask.OptionError, "width is a positive"),
        (lambda: occmask.build("from_tiny", threshold=1.5), occmask.OptionError, "threshold is None"),
        (lambda: occmask.build("from_tiny", dim=0), occmask.OptionError, "dim is a positive"),
        (lambda: occmask.build("from_tiny", embedding__dropout=1.0), occmask.OptionError, "dropout lies in"),
        (lambda: occmask.build("from_tiny", k=0), occmask.OptionError, "k is a whole number from 1"),
        (lambda: occmask.build("from_r50", depth=19), occmask.OptionError, "18, 34, 50, 100"),
        (lambda: occmask.build(3), occmask.OptionError, "a model's name or a ModelConfig"),
        (lambda: occmask.describe("hed", "from"), occmask.OptionError, "Did you mean 'head'"),
        (lambda: ModelConfig.from_dict({"bakbone": "tiny"}), occmask.OptionError, "Did you mean 'backbone'"),
    ],
)
def test_errors_say_what_would_have_worked(call, error, words):
    with pytest.raises(error, match=words) as e:
        call()
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("kind", list(KINDS))
def test_everything_registered_can_be_described(kind):
    for name in KINDS[kind]:
        text = str(occmask.describe(kind, name))
        assert text.startswith(f"{kind} {name!r}: ")
        assert "(no description)" not in text


def test_configuring_imports_no_torch():
    code = (
        "import sys, occmask; occmask.list_models(); c = occmask.MODELS['from_r50_spatial']();"
        "c.override(head__pattern_predictor='regression', image_size=(112, 112)); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
