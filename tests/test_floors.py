"""Who may import whom: a room imports rooms of lower floors and itself, nothing else of ours."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import occmask

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    -1: ("errors", "version"),  # known to all
    0: ("spec", "option_check", "plugin_metadata", "map_layers", "shapes"),
    1: ("registry", "patterns", "initialise", "images", "devices", "coverage"),
    2: (
        "restorers",
        "parts",
        "backbones",
        "refiners",
        "heads",
        "embeddings",
        "margins",
        "matching",
        "occluders",
        "records",
        "evaluation",
    ),
    3: ("models", "data", "protocols"),
    4: ("report", "measure", "testsets", "gallery"),
    5: ("training",),
    6: ("catalogue", "comparison", "testing"),
    7: ("app", "demo", "matcher_comparison", "scaffold"),
    8: ("cli",),
    9: ("__main__", "__init__"),  # the public names, loaded on first use
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
KERNELS = "occmask_kernels"
KERNELS_FLOOR = 1  # what torch is to the library: free for every room that computes

LIBRARY = sorted((ROOT / "occmask").rglob("*.py"))
KERNEL_FILES = sorted((ROOT / "kernels" / KERNELS).rglob("*.py"))
# What measures a plug-in is not what it ships: its tests may look inside.
PLUGIN_FILES = sorted(
    path
    for path in (*(ROOT / "plugins").glob("occmask-*/**/*.py"), *(ROOT / "tests/fixtures").rglob("*.py"))
    if "tests" not in path.relative_to(ROOT).parts[2:]
)


def modules_imported(path: Path, root: Path) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of every import anywhere in a file, lazy ones and those for type checkers included."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from .. import data` names a room only in the alias.
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def room_of(name: str) -> str:
    """The room of a dotted name; that of the package itself for one of its public names."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"


def broken_floors(path: Path, root: Path) -> Iterator[str]:
    parts = path.relative_to(root).with_suffix("").parts
    room = parts[1]
    for name, line in modules_imported(path, root):
        top = name.split(".")[0]
        if top == KERNELS and FLOOR[room] <= KERNELS_FLOOR:
            yield f"{path}:{line}: {room} (floor {FLOOR[room]}) computes nothing and imports {name}"
        if top == "occmask" and room_of(name) != room and FLOOR[room_of(name)] >= FLOOR[room]:
            other = room_of(name)
            yield f"{path}:{line}: {room} (floor {FLOOR[room]}) imports {name}, of {other} (floor {FLOOR[other]})"


def test_every_room_has_a_floor() -> None:
    rooms = {path.relative_to(ROOT / "occmask").with_suffix("").parts[0] for path in LIBRARY}
    assert rooms <= set(FLOOR), f"give {sorted(rooms - set(FLOOR))} a floor in {Path(__file__).name}"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    assert not list(broken_floors(path, ROOT))


@pytest.mark.parametrize(
    ("where", "code", "broken"),
    [
        ("data/images.py", "from ..models import build", True),
        ("data/images.py", "from .. import training", True),
        ("heads/mine.py", "def f():\n    from ..margins.loss import MarginLoss", True),
        ("models/face.py", "import occmask", True),
        ("models/face.py", "from occmask import FaceOutput", True),
        ("patterns.py", "import occmask_kernels", True),
        ("data/images.py", "from .textures import wood\nfrom ..shapes import FaceBatch\nimport numpy", False),
        ("heads/from_head.py", "from . import MASK_DECODERS\nfrom occmask_kernels.masking import mask_apply", False),
    ],
)
def test_a_forbidden_import_is_seen(tmp_path: Path, where: str, code: str, broken: bool) -> None:
    path = tmp_path / "occmask" / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    assert bool(list(broken_floors(path, tmp_path))) is broken


@pytest.mark.parametrize("path", KERNEL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_kernels_import_torch_and_the_standard_library_only(path: Path) -> None:
    allowed = {"torch", KERNELS, *sys.stdlib_module_names}
    if (path.name.endswith(("kernel.py", "launch.py")) and path.name != "_launch.py") or path.name == "aot.py":
        allowed.add("triton")
    for name, line in modules_imported(path, ROOT / "kernels"):
        assert name.split(".")[0] in allowed, f"{path}:{line} imports {name}"


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_use_public_names_only(path: Path) -> None:
    for name, line in modules_imported(path, ROOT):
        public = not name.startswith("occmask.") or name.startswith("occmask.testing")
        public = public or name.removeprefix("occmask.") in occmask.__all__
        assert public, f"{path}:{line} imports {name}, which is no public name of occmask"
