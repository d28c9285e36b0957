"""Specs, registries, plug-ins, and what `import occmask` costs."""

from __future__ import annotations

import copy
import json
import pickle
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import interpreters
import pytest
from hypothesis import given

import occmask
from occmask import DuplicateNameError, OptionError, PluginError, Spec, UnknownNameError
from occmask.registry import Registry
from occmask.testing import strategies as some

ROOT = Path(__file__).resolve().parents[1]
LOWRANK = ROOT / "tests/fixtures/occmask-lowrank"


# -- Spec ------------------------------------------------------------------------------------------
@given(spec=some.specs())
def test_a_spec_comes_back_from_json_pickle_and_copy(spec: Spec) -> None:
    assert Spec.of(json.loads(json.dumps(spec.to_dict()))) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec) == spec
    assert hash(Spec.of(spec.to_dict())) == hash(spec)


@given(spec=some.specs())
def test_the_order_of_options_does_not_matter(spec: Spec) -> None:
    backwards = Spec(spec.name, **dict(reversed(spec.options.items())))
    assert backwards == spec
    assert hash(backwards) == hash(spec)
    assert repr(backwards) == repr(spec)


@given(spec=some.specs())
def test_replacing_an_option_changes_that_option_only(spec: Spec) -> None:
    changed = spec.replace(added=[1, (2, 3)])
    assert dict(changed.options) == {**spec.options, "added": (1, (2, 3))}
    assert changed.name == spec.name
    assert (spec == changed) == (spec.options.get("added") == (1, (2, 3)))


def test_nested_components_become_specs() -> None:
    spec = Spec.of({"name": "from", "pattern_predictor": {"name": "classification", "k": 4}})
    assert spec.options["pattern_predictor"] == Spec("classification", k=4)


def test_a_spec_cannot_be_changed() -> None:
    spec = Spec("from", width=8)
    with pytest.raises(AttributeError, match="replace"):
        spec.name = "other"
    with pytest.raises(TypeError):
        spec.options["width"] = 9  # type: ignore[index]


@pytest.mark.parametrize(
    ("broken", "hint"),
    [
        (lambda: Spec(""), "component's name"),
        (lambda: Spec(3), "component's name"),
        (lambda: Spec("x", option={1, 2}), "'option' is a set"),
        (lambda: Spec("x", deep=[[object()]]), "'deep' is a object"),
        (lambda: Spec.of({"k": 4}), "mapping with a 'name'"),
        (lambda: Spec.of(None), "a name, a Spec"),
    ],
)
def test_what_is_no_spec_is_refused_with_what_is(broken: Any, hint: str) -> None:
    with pytest.raises(OptionError, match=hint):
        broken()


# -- Registry --------------------------------------------------------------------------------------
def things() -> Registry[Any]:
    return Registry("thing", "occmask.things_of_the_tests", {"round": "math:floor", "gone": "math:nothing"})


def cube(size: int, *, edge: float = 1.0, colour: str) -> tuple[int, float, str]:
    return size, edge, colour


def test_a_component_is_registered_by_decorator_and_by_call() -> None:
    registry = things()
    assert registry.register("cube")(cube) is cube
    assert registry.register("also", cube) is cube
    assert list(registry) == ["also", "cube", "gone", "round"]
    assert len(registry) == 4
    assert "cube" in registry
    assert "ball" not in registry
    assert registry.build(Spec("cube", colour="red"), 3) == (3, 1.0, "red")
    assert "also, cube, gone, round" in repr(registry)


def test_the_same_factory_again_is_no_change_and_another_is_refused() -> None:
    registry = things()
    registry.register("cube", cube)
    registry.register("cube", cube)
    with pytest.raises(DuplicateNameError, match=r"already .*:cube; .*<lambda> cannot"):
        registry.register("cube", lambda: None)
    with pytest.raises(DuplicateNameError, match=r"built in \(math:floor\)"):
        registry.register("round", cube)
    assert registry["cube"] is cube


def test_an_unknown_name_is_told_the_near_ones() -> None:
    registry = things()
    registry.register("cube", cube)
    with pytest.raises(UnknownNameError, match=r"no thing is called 'cub'\. Did you mean 'cube'\?") as caught:
        registry["cub"]
    assert "Known: cube, gone, round" in str(caught.value)
    assert isinstance(caught.value, KeyError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_unknown_option_is_told_the_near_ones() -> None:
    registry = things()
    registry.register("cube", cube)
    with pytest.raises(OptionError, match=r"thing 'cube' has no option 'color'\. Did you mean 'colour'\?") as caught:
        registry.build(Spec("cube", color="red"), 3)
    assert "Options: edge, colour" in str(caught.value)
    with pytest.raises(OptionError, match="no option 'size'"):  # wiring is no option
        registry.build(Spec("cube", size=1, colour="red"), 3)


def test_options_are_the_factorys_keywords_and_defaults() -> None:
    registry = things()
    registry.register("cube", cube)
    options = registry.options("cube")
    assert list(options) == ["edge", "colour"]
    assert options["edge"] == 1.0


def test_an_import_path_needs_no_registration() -> None:
    assert things()["json:loads"] is json.loads
    for path in ("json:nothing", "no_such_module_at_all:x", ":x"):
        with pytest.raises(PluginError, match="'module:attribute'"):
            things()[path]


# -- public API ------------------------------------------------------------------------------------
def test_every_public_name_can_be_imported() -> None:
    for name in occmask.__all__:
        assert getattr(occmask, name) is not None, name
    assert len(set(occmask.__all__)) == len(occmask.__all__)
    assert set(occmask.__all__) <= set(dir(occmask))


def test_every_lazy_name_is_public_and_every_public_name_exists_for_type_checkers() -> None:
    source = (ROOT / "occmask/__init__.py").read_text()
    seen_by_checkers = set(re.findall(r"\b\w+\b", source.split("if TYPE_CHECKING:")[1].split("def __getattr__")[0]))
    lazy = set(occmask._LAZY)
    assert lazy <= set(occmask.__all__)
    assert lazy <= seen_by_checkers


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        occmask.no_such_name  # noqa: B018


def test_every_error_is_an_occmask_error_and_its_builtin_kind() -> None:
    kinds = {
        "UnknownNameError": KeyError,
        "DuplicateNameError": ValueError,
        "OptionError": TypeError,
        "PluginError": ImportError,
        "ShapeError": ValueError,
        "DataError": ValueError,
        "CheckpointError": ValueError,
        "TrainingError": RuntimeError,
        "ProtocolError": ValueError,
    }
    assert {name for name in occmask.__all__ if name.endswith("Error")} == {*kinds, "OccmaskError"}
    for name, builtin in kinds.items():
        assert issubclass(getattr(occmask, name), (occmask.OccmaskError))
        assert issubclass(getattr(occmask, name), builtin)


# -- what importing costs --------------------------------------------------------------------------
def python(
    code: str, *flags: str, paths: tuple[Path, ...] = (), plugins: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that sees this tree and, before it, `paths`."""
    return interpreters.python(*flags, "-c", code, paths=paths, plugins=plugins)


def test_importing_occmask_imports_neither_torch_nor_numpy() -> None:
    ran = python(
        "import sys, occmask; print({'torch', 'numpy', 'triton', 'occmask_kernels', 'PIL'} & set(sys.modules))"
    )
    assert ran.stdout.strip() == "set()", ran.stderr


def test_importing_occmask_takes_less_than_three_tenths_of_a_second() -> None:
    def seconds() -> float:
        report = python("import occmask", "-X", "importtime").stderr
        (total,) = re.findall(r"\|\s*(\d+) \| occmask$", report, re.MULTILINE)
        return int(total) / 1e6

    assert min(seconds() for _ in range(3)) < 0.3


# -- plug-ins --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plug-in as pip would leave it: the package and its metadata."""
    site = tmp_path_factory.mktemp("site")
    return _install(LOWRANK, site)


def _install(project: Path, site: Path) -> Path:
    described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    for package in project.glob("*/__init__.py"):
        shutil.copytree(package.parent, site / package.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
    name, version = described["name"], described["version"]
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = described["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in found.items()) for group, found in groups]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return site


def test_listing_names_imports_no_plugin_and_no_torch(installed: Path) -> None:
    ran = python(
        "import sys, occmask\n"
        "print(*occmask.HEADS); print(*occmask.list_models('low*'))\n"
        "print({'torch', 'occmask_lowrank'} & set(sys.modules))",
        paths=(installed,),
    )
    assert ran.stdout.splitlines() == ["broken from lowrank occupancy", "lowrank_tiny", "set()"], ran.stderr


def test_a_plugins_head_trains_in_a_model_and_keeps_the_protocol(installed: Path) -> None:
    ran = python(
        "import torch, occmask\n"
        "from occmask.testing import check_head\n"
        "check_head('lowrank'); check_head(occmask.Spec('lowrank', rank=2, pattern_predictor='regression'))\n"
        "model = occmask.build('lowrank_tiny', head__rank=3)\n"
        "output = model(torch.zeros(2, 3, 112, 96))\n"
        "loss = model.occlusion_loss(output, occmask.OcclusionTruth(torch.tensor([[0., 0., .5, .5]] * 2)))\n"
        "loss.backward()\n"
        "print(model.head.position.out_channels, tuple(output.mask.shape), model.head.channel.grad.abs().sum() > 0)",
        paths=(installed,),
    )
    assert ran.stdout.strip() == "3 (2, 128, 7, 6) tensor(True)", ran.stderr


def test_a_broken_plugin_names_its_distribution_and_harms_nobody_else(installed: Path) -> None:
    ran = python(
        "import occmask\n"
        "occmask.HEADS['from']; occmask.HEADS['lowrank']\n"
        "try: occmask.HEADS['broken']\n"
        "except occmask.PluginError as e: print(e)",
        paths=(installed,),
    )
    assert "head 'broken' comes from plug-in 'occmask-lowrank' (occmask_lowrank:DoesNotExist)" in ran.stdout, ran.stderr


@pytest.mark.parametrize(
    ("setting", "seen"),
    [(None, True), ("all", True), ("none", False), ("0", False), ("other", False), ("other, occmask-lowrank", True)],
)
def test_the_environment_says_which_plugins_are_let_in(installed: Path, setting: str | None, seen: bool) -> None:
    ran = python("import occmask; print('lowrank' in occmask.HEADS)", paths=(installed,), plugins=setting)
    assert ran.stdout.strip() == str(seen), ran.stderr


def test_a_plugins_name_cannot_be_taken_in_a_script(installed: Path) -> None:
    ran = python(
        "import occmask\n"
        "try: occmask.HEADS.register('lowrank', lambda shapes: None)\n"
        "except occmask.DuplicateNameError as e: print(e)",
        paths=(installed,),
    )
    assert "comes from plug-in 'occmask-lowrank'; pick another name" in ran.stdout, ran.stderr


def test_an_option_called_name_is_refused_instead_of_replacing_the_component() -> None:
    with pytest.raises(occmask.OptionError, match="no component has an option 'name'"):
        Spec("cosface").replace(name="arcface")
    with pytest.raises(occmask.OptionError, match="no component has an option 'name'"):
        occmask.build_loss("cosface", embedding_dim=4, num_classes=2, name="arcface")


@pytest.mark.parametrize(
    ("kind", "name", "options", "said"),
    [
        ("PROTOCOLS", "mfr", {"fars": 1e-3}, r"'fars' is a list, each of it a number, such as \(0.0001,\), not 0.001"),
        ("PROTOCOLS", "stress", {"cells": "none"}, "'cells' is a whole number or None, such as 5, not 'none'"),
        ("PROTOCOLS", "pairs", {"folds": True}, "'folds' is a whole number, such as 10, not True"),
        ("TESTSETS", "random_crop", {"low": "0,2"}, "'low' is a number, such as 0.2, not '0,2'"),
        ("TESTSETS", "region", {"region": 3}, "'region' is a text, such as 'nose_mouth_hard', not 3"),
    ],
)
def test_an_option_of_another_type_is_refused_with_what_it_should_be(kind, name, options, said):
    with pytest.raises(occmask.OptionError, match=said):
        getattr(occmask, kind).build(occmask.Spec(name, **options))
    assert occmask.PROTOCOLS.build(occmask.Spec("stress", cells=None, areas=[1 / 2], seed=3))


def test_an_option_that_is_needed_is_asked_for_by_name():
    with pytest.raises(occmask.OptionError, match="occluder 'pictures' needs the option 'folder'"):
        occmask.OCCLUDERS.build("pictures")
