"""Procedural textures, in two groups that share nothing: models train on one and are tested on the other."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..errors import UnknownNameError
from ..images.pixels import Pixels

Field = NDArray[np.float32]  # (n, n), any range
Texture = Callable[[Generator, int], Pixels]  # (rng, n) -> uint8 (n, n, 3)

BANK_SIZE, BANK_COUNT = 128, 24  # pixels a side, pictures a texture


# -- ingredients -------------------------------------------------------------------------------
def smooth_noise(rng: Generator, n: int, cells: int) -> Field:
    """Noise (n, n) that varies over n / cells pixels, roughly in [0, 1]."""
    coarse = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((n, n), Image.Resampling.BICUBIC), np.float32)


def _colours(rng: Generator, count: int) -> Field:
    return rng.uniform(10, 245, (count, 3)).astype(np.float32)


def _plane(n: int) -> tuple[Field, Field]:
    y, x = np.mgrid[:n, :n].astype(np.float32) / n
    return y, x


def _ramp(field: Field, rng: Generator, *, colours: int = 2) -> Pixels:
    """The field's lowest value in one random colour, its highest in another, and others in between."""
    palette = _colours(rng, colours)
    if np.abs(palette[0] - palette[-1]).max() < 60:  # two colours nobody can tell apart are no texture
        palette[-1] = 255 - palette[-1]
    level = (field - field.min()) / (np.ptp(field) + 1e-6) * (colours - 1)
    stops = np.arange(colours)
    channels = [np.interp(level, stops, palette[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _grain(pixels: NDArray[np.floating], rng: Generator, sigma: float) -> Pixels:
    return np.clip(pixels + rng.normal(0, sigma, pixels.shape[:2])[..., None], 0, 255).astype(np.uint8)


# -- training textures -------------------------------------------------------------------------
def solid(rng: Generator, n: int) -> Pixels:
    return _grain(np.broadcast_to(_colours(rng, 1), (n, n, 3)), rng, rng.uniform(0, 6))


def blobs(rng: Generator, n: int) -> Pixels:
    return _ramp(smooth_noise(rng, n, int(rng.integers(3, 9))), rng, colours=int(rng.integers(2, 4)))


def noise(rng: Generator, n: int) -> Pixels:
    cell = int(rng.integers(1, 4))
    coarse = rng.uniform(0, 255, (-(-n // cell), -(-n // cell), 3 if rng.random() < 0.5 else 1))
    fine = coarse.repeat(cell, 0).repeat(cell, 1)[:n, :n]
    pixels: Pixels = np.broadcast_to(fine, (n, n, 3)).astype(np.uint8)
    return pixels


def gradient(rng: Generator, n: int) -> Pixels:
    y, x = _plane(n)
    turn = rng.uniform(0, 2 * np.pi)
    return _ramp(np.cos(turn) * x + np.sin(turn) * y, rng, colours=int(rng.integers(2, 4)))


def stripes(rng: Generator, n: int) -> Pixels:
    y, x = _plane(n)
    turn, frequency = rng.uniform(0, np.pi), rng.uniform(3, 14)
    wave = np.sin(2 * np.pi * frequency * (np.cos(turn) * x + np.sin(turn) * y))
    return _ramp(np.clip(wave * rng.uniform(1, 6), -1, 1), rng)


def polygons(rng: Generator, n: int) -> Pixels:
    count = int(rng.integers(5, 15))
    palette = [tuple(map(int, colour)) for colour in _colours(rng, count)]
    picture = Image.new("RGB", (n, n), palette[0])
    draw = ImageDraw.Draw(picture)
    for colour in palette[1:]:
        corners = rng.uniform(-0.1 * n, 1.1 * n, (int(rng.integers(3, 6)), 2))
        draw.polygon(corners.ravel().tolist(), fill=colour)
    return np.array(picture)


def ellipses(rng: Generator, n: int) -> Pixels:
    count = int(rng.integers(5, 14))
    palette = [tuple(map(int, colour)) for colour in _colours(rng, count)]
    picture = Image.new("RGB", (n, n), palette[0])
    draw = ImageDraw.Draw(picture)
    for colour in palette[1:]:
        x, y = rng.uniform(0, n, 2)
        rx, ry = rng.uniform(0.05 * n, 0.28 * n, 2)
        draw.ellipse([x - rx, y - ry, x + rx, y + ry], fill=colour)
    return np.array(picture)


# -- test textures -----------------------------------------------------------------------------
def checker(rng: Generator, n: int) -> Pixels:
    y, x = np.mgrid[:n, :n]
    side = int(rng.integers(6, 18))
    return _ramp(((x // side + y // side) % 2 + rng.normal(0, 0.04, (n, n))).astype(np.float32), rng)


def voronoi(rng: Generator, n: int) -> Pixels:
    count = int(rng.integers(12, 50))
    sites, palette = rng.random((count, 2), dtype=np.float32), _colours(rng, count)
    y, x = _plane(n)
    distance = (y[..., None] - sites[:, 0]) ** 2 + (x[..., None] - sites[:, 1]) ** 2
    pixels: Pixels = palette[distance.argmin(-1)].astype(np.uint8)
    return pixels


def wood(rng: Generator, n: int) -> Pixels:
    y, x = _plane(n)
    cy, cx = rng.uniform(-0.6, 1.6, 2)
    rings = np.hypot(3 * (y - cy), x - cx) + 0.2 * smooth_noise(rng, n, 5)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(4, 11) * rings) + 0.15 * smooth_noise(rng, n, 40)
    dark, light = rng.uniform(0.25, 0.7), rng.uniform(0.75, 1.0)
    brown = np.array([rng.uniform(170, 240), rng.uniform(110, 170), rng.uniform(50, 110)])
    pixels: Pixels = np.clip((dark + (light - dark) * wave)[..., None] * brown, 0, 255).astype(np.uint8)
    return pixels


def knit(rng: Generator, n: int) -> Pixels:
    y, x = np.mgrid[:n, :n].astype(np.float32)
    stitch, wool = rng.uniform(6, 10), _colours(rng, 3) * 0.85 + 38
    column = np.abs(x / stitch % 1 - 0.5) * 2  # 0 in the middle of a column of stitches, 1 between two
    row = y / (0.75 * stitch) + 0.55 * column  # the legs of a stitch climb towards its middle: a V
    bulge = np.sqrt(np.abs(np.sin(np.pi * row))) * (1 - 0.75 * column**3)
    band = np.floor(row / rng.uniform(3, 7)).astype(int) % int(rng.integers(1, 4))
    return _grain(wool[band] * (0.5 + 0.5 * bulge)[..., None], rng, 5)


def fractal(rng: Generator, n: int) -> Pixels:
    field = np.zeros((n, n), np.float32)
    for cells in (4, 8, 16, 32, 64):
        field += smooth_noise(rng, n, cells) / cells ** rng.uniform(0.5, 0.9)
    return _ramp(field, rng, colours=3)


def brick(rng: Generator, n: int) -> Pixels:
    y, x = np.mgrid[:n, :n]
    tall = int(rng.integers(9, 18))
    wide = 2 * tall
    row = y // tall
    column = (x + row % 2 * tall) // wide
    mortar = (y % tall < 2) | ((x + row % 2 * tall) % wide < 2)
    shade = rng.uniform(0.75, 1.1, (n // tall + 1, n // wide + 2))[row, column]
    clay, joint = _colours(rng, 1)[0], rng.uniform(120, 220)
    return _grain(np.where(mortar[..., None], joint, shade[..., None] * clay), rng, 8)


TRAIN_TEXTURES: Mapping[str, Texture] = MappingProxyType(
    {f.__name__: f for f in (solid, blobs, noise, gradient, stripes, polygons, ellipses)}
)
TEST_TEXTURES: Mapping[str, Texture] = MappingProxyType(
    {f.__name__: f for f in (checker, voronoi, wood, knit, fractal, brick)}
)
TEXTURES: Mapping[str, Texture] = MappingProxyType({**TRAIN_TEXTURES, **TEST_TEXTURES})


# -- using them --------------------------------------------------------------------------------
@cache
def bank(name: str) -> tuple[Image.Image, ...]:
    """`BANK_COUNT` pictures of a texture, drawn once a process and the same in every process.

    Drawing a texture takes milliseconds and an occlusion may take one, so occlusions cut from these.
    """
    if name not in TEXTURES:
        raise UnknownNameError("texture", name, TEXTURES)
    return tuple(
        Image.fromarray(TEXTURES[name](np.random.default_rng((zlib.crc32(name.encode()), i)), BANK_SIZE))
        for i in range(BANK_COUNT)
    )


def cut(name: str, rng: Generator, height: int, width: int) -> Pixels:
    """A random piece of a texture brought to uint8 (height, width, 3): cropped, scaled, flipped, colours exchanged.

    Raises `UnknownNameError` for the name.
    """
    pictures = bank(name)
    picture = pictures[int(rng.integers(len(pictures)))]
    part = rng.uniform(0.45, 1.0) * BANK_SIZE
    longer = max(height, width)
    part_w, part_h = part * width / longer, part * height / longer
    left, top = rng.uniform(0, BANK_SIZE - part_w), rng.uniform(0, BANK_SIZE - part_h)
    box = (left, top, left + part_w, top + part_h)
    piece = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))
    horizontal, vertical, negative = (int(flag) for flag in rng.integers(0, 2, 3))
    piece = piece[:: 1 - 2 * vertical, :: 1 - 2 * horizontal]
    if name not in ("wood", "knit", "brick"):  # whose colours are part of what they are
        piece = piece[..., rng.permutation(3)]
        piece = 255 - piece if negative else piece
    return np.ascontiguousarray(piece)
