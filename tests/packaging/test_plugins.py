"""Each plug-in of this repository is a distribution of its own: what its wheel holds, and that occmask finds it.

`plugins/alone.py` goes on from here: it installs each into an environment of its own, trains with it and uninstalls it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

from occmask.catalogue import KINDS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in ROOT.glob("plugins/occmask-*/pyproject.toml"))
KIND_OF = {registry.group: kind for kind, registry in KINDS.items()}
COMMANDS = "occmask.commands"
LEFTOVERS = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", ".*_cache", ".hypothesis")

pytestmark = pytest.mark.slow
EVERY_PLUGIN = pytest.mark.parametrize("name", [folder.name for folder in FOLDERS])


def build_wheel(tree: Path, out: Path) -> Path:
    """By the installed setuptools: no network."""
    out.mkdir(parents=True)
    hook = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", hook, str(out)], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.iterdir()
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the name of the folder, built from copies so that nothing is left behind; the core's under "occmask"."""
    place = tmp_path_factory.mktemp("plugins")
    core = place / "occmask"
    for package in ("occmask", "kernels/occmask_kernels"):
        shutil.copytree(ROOT / package, core / package, ignore=LEFTOVERS)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, core)
    for folder in FOLDERS:
        shutil.copytree(folder, place / folder.name, ignore=LEFTOVERS)
    names = ["occmask", *(folder.name for folder in FOLDERS)]
    return {name: build_wheel(place / name, place / "wheels" / name) for name in names}


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them side by side in one folder, as pip puts them there without an index."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index"]
    command += ["--no-compile", "--target", str(target), *map(str, wheels.values())]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def project_of(name: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "plugins" / name / "pyproject.toml").read_text())["project"]
    return project


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def metadata_file(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [found for found in archive.namelist() if found.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def metadata_of(wheel: Path) -> Message:
    return Parser().parsestr(metadata_file(wheel, "METADATA"))


@EVERY_PLUGIN
def test_the_wheel_holds_the_package_its_types_and_no_tests(name: str, wheels: dict[str, Path]) -> None:
    package = name.replace("-", "_")
    folder = ROOT / "plugins" / name
    modules = {path.relative_to(folder).as_posix() for path in (folder / package).rglob("*.py")}
    shipped = {path for path in names_in(wheels[name]) if ".dist-info/" not in path}
    assert shipped == modules | {f"{package}/py.typed"}


@EVERY_PLUGIN
def test_the_wheel_says_its_licence_what_it_needs_and_what_it_is(name: str, wheels: dict[str, Path]) -> None:
    metadata = metadata_of(wheels[name])
    assert metadata["Name"] == name
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "occmask>=0.1" in (metadata.get_all("Requires-Dist") or [])
    assert metadata["Summary"]
    assert str(metadata.get_payload()).startswith(f"# {name}\n")  # its README


@EVERY_PLUGIN
def test_the_wheel_declares_the_entry_points_of_its_project(name: str, wheels: dict[str, Path]) -> None:
    declared = ConfigParser(delimiters=("=",), interpolation=None)
    declared.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    declared.read_string(metadata_file(wheels[name], "entry_points.txt"))
    found = {group: dict(declared[group]) for group in declared.sections()}
    assert found == project_of(name)["entry-points"]
    ours = {group for group in found if group.startswith("occmask.")}
    assert ours
    assert ours <= {*KIND_OF, COMMANDS}


@EVERY_PLUGIN
def test_installed_beside_the_core_it_is_listed_as_its_own(name: str, installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "OCCMASK_PLUGINS": name}
    code = "import sys, occmask; from occmask.cli import main; print(occmask.__file__); sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "list", "--kind", "all", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place, listed = done.stdout.splitlines()
    assert Path(place).is_relative_to(installed)
    owned = {(kind, one) for kind, names in json.loads(listed).items() for one, owner in names.items() if owner}
    groups = project_of(name)["entry-points"].items()
    assert owned == {(KIND_OF[group], one) for group, names in groups if group in KIND_OF for one in names}
    owners = {owner for names in json.loads(listed).values() for owner in names.values() if owner}
    assert owners == {name}
