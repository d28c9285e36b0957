"""New plug-ins: what is written works as it is, and nothing is written over or under a taken name."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.catalogue import KINDS
from occmask.cli import COMMANDS, main
from occmask.errors import DataError, OptionError
from occmask.scaffold import ELSEWHERE, TEMPLATES
from occmask.scaffold import write_plugin as _write_plugin
from occmask.scaffold.names import names_of

ROOT = Path(__file__).resolve().parents[2]
RUFF = Path(sys.executable).with_name("ruff")


def write_plugin(name: str, kind: str, folder: Path) -> Path:
    return _write_plugin(name, kind, folder, registries=KINDS.values(), commands=COMMANDS)


def test_every_kind_has_a_template_or_a_sentence_that_says_what_to_do() -> None:
    assert set(TEMPLATES) | set(ELSEWHERE) == {*KINDS, "command"}
    assert not set(TEMPLATES) & set(ELSEWHERE)


def test_every_template_declares_entry_points_of_its_kind() -> None:
    for kind, template in TEMPLATES.items():
        group = "occmask.commands" if kind == "command" else KINDS[kind].group
        assert template.entry_points[0][0] == group


@pytest.mark.parametrize("kind", TEMPLATES)
def test_what_is_written_is_a_distribution(kind: str, tmp_path: Path) -> None:
    place = write_plugin("my-thing", kind, tmp_path)
    assert place == tmp_path / "occmask-my-thing"
    project = tomllib.loads((place / "pyproject.toml").read_text())["project"]
    assert project["name"] == "occmask-my-thing"
    component = "my-thing" if kind == "command" else "my_thing"
    for group, target in TEMPLATES[kind].entry_points:
        leads_to = project["entry-points"][group][component]
        module, _, attribute = leads_to.partition(":")
        assert module.startswith("occmask_my_thing")
        path = place.joinpath(*module.split("."))
        source = (path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py").read_text()
        defined = {getattr(node, "name", "") for node in ast.parse(source).body}
        assert not attribute or attribute in defined, target
    for file in place.rglob("*"):
        assert not file.is_file() or "$" not in file.read_text(), f"{file}: something was not filled in"
    assert (place / "occmask_my_thing" / "py.typed").is_file()
    assert "check_" in (place / "tests" / "test_my_thing.py").read_text() or kind == "command"


@pytest.mark.skipif(not RUFF.is_file(), reason="needs ruff")
@pytest.mark.parametrize("name", ["q", "a-name-of-thirty-letters-a-b-cd"[:30]])
def test_what_is_written_is_clean_by_our_own_rules_and_by_its_own(name: str, tmp_path: Path) -> None:
    for kind in TEMPLATES:
        write_plugin(name, kind, tmp_path / kind)
    for config in (["--config", str(ROOT / "pyproject.toml")], []):
        for rule in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
            ran = subprocess.run([RUFF, *rule, *config, "."], cwd=tmp_path, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stdout


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "occmask-gate" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(DataError, match="there already"):
        write_plugin("gate", "head", tmp_path)
    assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"]
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataError, match=r"cannot write|there already"):
        write_plugin("gate", "head", file)


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("from", "head", "head 'from' is there already, built in"),
        ("cup", "occluder", "occluder 'cup' is there already"),
        ("augmented", "objective", "recipe 'augmented' is there already"),
        ("train", "command", "a command 'train' of occmask itself already"),
        ("new-plugin", "command", "a command 'new-plugin' of occmask itself"),
        ("Gate", "head", "such as 'gate', not 'Gate'"),
        ("my gate", "head", "such as 'my-gate'"),
        ("3d", "head", "small letters"),
        ("a--b", "head", "such as 'a-b'"),
        ("../up", "head", "such as 'up'"),
        ("", "head", "such as 'gate'"),
        ("x" * 31, "head", "at most 30"),
        ("gate", "haed", "Did you mean 'head'"),
        ("gate", "dataset", "returns an occmask.FaceSet"),
        ("gate", "protocol", "docs/protocols.md"),
        ("gate", "testset", "docs/plugins.md"),
        ("gate", "recipe", "--kind objective"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_written(
    name: str, kind: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-plugin", name, "--kind", kind, "--out", str(tmp_path / "new")]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_an_installed_distribution_and_an_importable_package_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "occmask_here").mkdir()
    (tmp_path / "occmask_here" / "__init__.py").touch()
    metadata = tmp_path / "occmask_known-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: occmask-known\nVersion: 2.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OptionError, match="a package 'occmask_here' is there already"):
        names_of("here", command=False)
    with pytest.raises(OptionError, match=r"occmask-known 2\.0 is installed already"):
        names_of("known", command=False)


@given(st.text(max_size=40))
def test_any_text_is_a_good_name_or_an_error(text: str) -> None:
    try:
        names = names_of(text, command=False)
    except OptionError:
        return
    assert names.package.isidentifier()
    assert names.class_name("Head").isidentifier()
    assert names.distribution == names.distribution.lower()


def test_a_name_may_have_our_prefix_already_and_a_suffix_is_not_said_twice() -> None:
    assert names_of("occmask-my-gate", command=False) == names_of("my_gate", command=False)
    assert names_of("gate", command=False).class_name("Head") == "GateHead"
    assert names_of("gate-head", command=False).class_name("Head") == "GateHead"
    assert names_of("head", command=False).class_name("Head") == "HeadHead"
    assert names_of("my_count", command=True).component == "my-count"


def test_the_next_three_commands_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a folder"
    assert main(["new-plugin", "gate", "--kind", "part-locator", "--out", str(folder)]) == 0
    wrote, *commands = capsys.readouterr().out.splitlines()
    assert str(folder / "occmask-gate") in wrote
    assert [line.split()[0] for line in commands] == ["cd", "python", "python"]
    assert f"cd '{folder / 'occmask-gate'}'" in commands[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_new_plugin_passes_its_own_tests_untouched_within_two_minutes(kind: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("OCCMASK_PLUGINS", "PYTHONPATH")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))
    start = time.monotonic()

    def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-5000:]
        return ran

    run("-m", "occmask", "new-plugin", f"new-{kind}", "--kind", kind, cwd=tmp_path)
    (place,) = tmp_path.iterdir()
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    # What `pip install -e` leaves, without the network: its metadata beside it, and its folder on the path.
    run("-c", "from setuptools import setup; setup()", "-q", "egg_info", cwd=place)
    environment["PYTHONPATH"] = os.pathsep.join([str(place), environment["PYTHONPATH"]])
    ran = run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=place)
    assert time.monotonic() - start < 120
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
    assert {path: path.read_bytes() for path in before} == before
    (plugin,) = (
        found
        for found in json.loads(run("-m", "occmask", "plugins", "--json", cwd=tmp_path).stdout)
        if found["distribution"] == place.name
    )
    assert plugin["editable"]
    assert not plugin["broken"]
    assert len(plugin["components"]) == len(TEMPLATES[kind].entry_points)


@pytest.mark.slow
def test_what_is_written_builds_a_wheel_with_its_entry_point(tmp_path: Path) -> None:
    place = write_plugin("gate", "head", tmp_path)
    hook = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    ran = subprocess.run([sys.executable, "-c", hook, str(wheels)], cwd=place, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    (wheel,) = wheels.iterdir()
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    entries = next((tmp_path / "unpacked").glob("*.dist-info/entry_points.txt")).read_text()
    assert "gate = occmask_gate:GateHead" in entries
    assert (tmp_path / "unpacked" / "occmask_gate" / "py.typed").is_file()
