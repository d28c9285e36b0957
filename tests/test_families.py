"""Families of components: "wide:24" is a member of what is registered as "wide:*"."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import occmask
from occmask.models.files import read_tensors
from occmask.registry import Registry

# a plug-in with a family of backbones: one flat map of as many channels as the member's name says
MODULE = '''
import occmask
from torch import nn


class Wide(nn.Module):
    """One convolution."""

    def __init__(self, image_size, channels, stride):
        super().__init__()
        self.filled = 0
        self.conv = nn.Conv2d(3, channels, stride, stride)
        self.shapes = (occmask.FeatureShape(channels, image_size[0] // stride, image_size[1] // stride),)

    def forward(self, image):
        return (self.conv(image),)


class WideFamily:
    """Backbones as wide as their name says."""

    @staticmethod
    def member(name):
        if name == "broken":
            raise RuntimeError("no luck")
        if name == "nothing":
            return None
        if not name.isdigit():
            raise occmask.UnknownNameError("backbone", f"wide:{name}", ["wide:16", "wide:24"])

        def factory(image_size, *, stride: int = 16, pretrained: str | None = None):
            """A convolution and nothing else."""
            if pretrained is not None:
                open(pretrained).close()
            return Wide(image_size, int(name), stride)

        return factory
'''
POINTS = "[occmask.backbones]\nwide:* = wide_family:WideFamily\nalone:one = wide_family:Wide\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which the plug-in is installed."""
    info = tmp_path / "site" / "occmask_wide-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "wide_family.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: occmask-wide\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    return tmp_path / "site"


@pytest.fixture
def family(site: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[occmask.FaceModel]:
    """The registry of backbones with this plug-in in it and no other."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("OCCMASK_PLUGINS", "occmask-wide")
    monkeypatch.setattr(occmask.BACKBONES, "_claims", None)  # read again: the path is another
    monkeypatch.delitem(sys.modules, "wide_family", raising=False)
    return occmask.BACKBONES  # type: ignore[return-value]


def small(**changes: object) -> occmask.ModelConfig:
    """A recogniser over a member of the family."""
    return occmask.ModelConfig(
        image_size=(32, 32),
        backbone=occmask.Spec("wide:24"),
        head=occmask.Spec("from", mask_decoder="deep", pattern_predictor=occmask.Spec("classification", k=2)),
        embedding=occmask.Spec("flat", dim=8),
    ).override(**changes)


def test_a_family_of_a_plugin_is_listed_by_its_star_and_imported_by_nobody(family):
    assert "wide:*" in list(family)
    assert "wide:24" in family
    assert "wide" not in family
    assert family.plugin_of("wide:24") == family.plugin_of("wide:*") == "occmask-wide"
    assert family.family_of("wide:24") == "wide:*"
    assert family.family_of("wide:*") is None
    assert not family.is_builtin("wide:24")
    assert "wide_family" not in sys.modules


def test_the_command_line_lists_families_without_importing_them(site, monkeypatch):
    monkeypatch.setenv("OCCMASK_PLUGINS", "occmask-wide")
    code = (
        "import sys; from occmask.cli import main; main(['list', '--kind', 'backbone'])\n"
        "print({'wide_family'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"], capture_output=True, text=True
    )
    assert run.stdout.splitlines()[-2:] == ["wide:*", "set()"], run.stderr


def test_a_member_is_built_with_its_options(family):
    model = occmask.build(small(), backbone__stride=8)
    assert model.backbone.shapes == (occmask.FeatureShape(24, 4, 4),)
    assert occmask.build(small(), stride=8).config == model.config
    with pytest.raises(occmask.OptionError, match=r"backbone 'wide:24' has no option 'strid'. Did you mean 'stride'"):
        occmask.BACKBONES.build(occmask.Spec("wide:24", strid=8), (32, 32))


def test_a_member_of_a_family_goes_through_json(family):
    spec = occmask.Spec("wide:24", stride=8)
    assert occmask.Spec.of(json.loads(json.dumps(spec.to_dict()))) == spec
    config = small(backbone=spec)
    assert occmask.ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_members_and_families_describe_themselves(family):
    member = occmask.describe("backbone", "wide:24")
    assert member.summary == "A convolution and nothing else."
    assert member.options == {"stride": 16, "pretrained": None}
    assert occmask.describe("backbone", "wide:*").summary == "Backbones as wide as their name says."


def test_an_unknown_member_is_told_what_would_work(family):
    with pytest.raises(occmask.UnknownNameError, match=r"'wide:x'.*Known: wide:16, wide:24"):
        family["wide:x"]
    with pytest.raises(occmask.UnknownNameError, match=r"'wide'\. Did you mean 'wide:\*'"):
        family["wide"]


def test_the_family_itself_is_not_built(family):
    with pytest.raises(occmask.OptionError, match=r"'wide:\*' is a family; put the name of one of it in place"):
        occmask.build(small(backbone="wide:*"))


def test_names_with_a_colon_that_stand_alone_have_neighbours_and_no_module(family):
    assert family["alone:one"].__name__ == "Wide"
    assert family.plugin_of("alone:one") == "occmask-wide"
    with pytest.raises(occmask.UnknownNameError, match=r"'alone:two'\. Did you mean 'alone:one'"):
        family["alone:two"]
    assert family["occmask.backbones.tiny:Tiny"].__name__ == "Tiny"  # still a path


@pytest.mark.parametrize(
    "member, said",
    [("broken", r"the family 'wide:\*' of plug-in 'occmask-wide' failed .*no luck"), ("nothing", "gives a NoneType")],
)
def test_a_family_that_fails_is_named(family, member, said):
    with pytest.raises(occmask.PluginError, match=said):
        family[f"wide:{member}"]


def test_what_cannot_say_its_members_is_no_family():
    occmask.HEADS.register("flat:*", object)
    with pytest.raises(occmask.PluginError, match=r"head 'flat:\*' is no family: it has no static method member"):
        occmask.HEADS["flat:x"]


def test_a_model_of_a_family_is_saved_and_loaded_and_names_what_it_needs(family, tmp_path):
    model = occmask.build(small()).eval()
    occmask.save_weights(model, tmp_path / "wide.safetensors")
    assert json.loads(read_tensors(tmp_path / "wide.safetensors")[1]["plugins"]) == {"backbone": "occmask-wide"}
    again = occmask.load_model(tmp_path / "wide.safetensors")
    image = torch.rand(2, 3, 32, 32)
    assert torch.equal(model(image).embedding, again(image).embedding)
    assert again.config == model.config


def test_without_the_plugin_its_checkpoint_names_the_distribution(family, tmp_path, monkeypatch):
    occmask.save_weights(occmask.build(small()), tmp_path / "wide.safetensors")
    monkeypatch.setattr(occmask.BACKBONES, "_claims", {})
    monkeypatch.setattr(occmask.BACKBONES, "_loaded", {})
    with pytest.raises(occmask.CheckpointError, match=r"backbone 'wide:24' of occmask-wide: pip install occmask-wide"):
        occmask.load_model(tmp_path / "wide.safetensors")


def test_a_checkpoint_of_a_member_that_is_gone_does_not_ask_for_what_is_installed(family, tmp_path, monkeypatch):
    occmask.save_weights(occmask.build(small()), tmp_path / "wide.safetensors")

    def forgotten(name):
        raise occmask.UnknownNameError("backbone", f"wide:{name}", ["wide:16"])

    monkeypatch.setattr(family["wide:*"], "member", staticmethod(forgotten))
    with pytest.raises(occmask.CheckpointError, match=r"'wide:24' of occmask-wide: .*installed here has none of that"):
        occmask.load_model(tmp_path / "wide.safetensors")


def test_a_family_of_a_script_is_named_by_the_module_that_registers_it(tmp_path, monkeypatch):
    scope: dict[str, object] = {"__name__": "my_backbones"}
    exec(MODULE, scope)
    occmask.BACKBONES.register("mine:*", scope["WideFamily"])  # type: ignore[call-overload]
    occmask.save_weights(occmask.build(small(backbone="mine:24")), tmp_path / "mine.safetensors")
    monkeypatch.setattr(occmask.BACKBONES, "_loaded", {})
    with pytest.raises(occmask.CheckpointError, match=r"module my_backbones: import my_backbones first"):
        occmask.load_model(tmp_path / "mine.safetensors")


def test_loading_a_checkpoint_does_not_fetch_the_first_weights_again(family, tmp_path):
    first = tmp_path / "first.weights"
    first.touch()
    model = occmask.build(small(backbone=occmask.Spec("wide:24", pretrained=str(first))))
    occmask.save_weights(model, tmp_path / "wide.safetensors")
    first.unlink()
    again = occmask.load_model(tmp_path / "wide.safetensors")
    assert again.config == model.config  # the config still says where the first weights came from
    assert torch.equal(again.backbone.conv.weight, model.backbone.conv.weight)
