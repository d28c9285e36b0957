"""A small model that sees occlusion, and drawn faces: no real ones are needed."""

from __future__ import annotations

from importlib.util import find_spec
from shutil import which

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import occmask
from occmask.images.pixels import Pixels

CHROMIUM = next((path for path in map(which, ("chromium", "chromium-browser", "google-chrome")) if path), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in ("gradio", "playwright") if find_spec(name) is None]
    missing += [] if CHROMIUM else ["chromium"]
    for item in items:
        if item.get_closest_marker("browser") and missing:
            item.add_marker(pytest.mark.skip(reason=f"needs {' and '.join(missing)}: see docs/app.md"))


@pytest.fixture(scope="session")
def chromium() -> str:
    assert CHROMIUM is not None
    return CHROMIUM


def drawn_face(seed: int, size: tuple[int, int] = (112, 96)) -> Pixels:
    """A face of simple shapes at (height, width), another for each seed."""
    rng = np.random.default_rng(seed)
    height, width = size
    skin = tuple(int(x) for x in rng.integers((150, 110, 90), (235, 190, 165)))
    picture = Image.new("RGB", (width, height), tuple(int(x) for x in rng.integers(40, 90, 3)))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((0.08 * width, 0.04 * height, 0.92 * width, 1.05 * height), fill=skin)
    for middle in (0.32, 0.68):
        x, y = middle * width, 0.46 * height
        draw.ellipse((x - 8, y - 4, x + 8, y + 4), fill="white")
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=(40, 60, int(rng.integers(60, 160))))
    draw.ellipse((0.34 * width, 0.78 * height, 0.66 * width, 0.85 * height), fill=(170, 70, 70))
    return np.array(picture)


@pytest.fixture(scope="session")
def faces() -> list[Pixels]:
    return [drawn_face(seed) for seed in range(3)]


@pytest.fixture(scope="session")
def seeing() -> occmask.FaceModel:
    torch.manual_seed(1)
    return occmask.attach(occmask.build("from_tiny", head=None), "occupancy")


@pytest.fixture(scope="session")
def blind() -> occmask.FaceModel:
    torch.manual_seed(1)
    return occmask.build("from_tiny", head=None).eval()
