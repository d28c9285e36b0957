"""Faces under another light and turned a little: more of them than a small set has."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from ..images.pixels import Pixels
from ..occluders.textures import Field, smooth_noise


def relit(image: Pixels, rng: Generator, *, strength: float) -> Pixels:
    """The picture uint8 (H, W, 3) under light that varies over it, sometimes with a shadow's edge, gamma or a blur.

    `strength` is about the largest change of the logarithm of a pixel's brightness; 0 leaves the picture as it is.
    """
    if not strength:
        return image
    height, width = image.shape[:2]
    side = max(height, width)
    light = np.zeros((height, width), np.float32)
    for cells in (2, 4, 7):
        light += (smooth_noise(rng, side, cells)[:height, :width] - 0.5) * rng.uniform(0, 1.6)
    if rng.random() < 0.4:
        light += _shadow(rng, height, width)
    level = (image.astype(np.float32) / 255) ** np.exp(strength * rng.uniform(-1, 1))
    out: Pixels = np.clip(level * np.exp(strength * light)[..., None] * 255, 0, 255).astype(np.uint8)
    if rng.random() < min(0.25, strength / 2):
        out = np.array(Image.fromarray(out).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2))))
    return out


def warped(image: Pixels, rng: Generator, *, amount: float) -> Pixels:
    """The picture uint8 (H, W, 3) scaled by up to a share `amount` and turned by up to 1.5 `amount` in radians.

    What comes in at the edges is the picture's mirror image.
    """
    if not amount:
        return image
    height, width = image.shape[:2]
    turn, scale = 1.5 * amount * rng.uniform(-1, 1), np.exp(amount * rng.uniform(-1, 1))
    wider = np.exp(amount / 2 * rng.uniform(-1, 1))
    c, s = np.cos(turn), np.sin(turn)
    to_source = scale * np.array([[c * wider, -s], [s, c / wider]])
    middle, border = np.array([width / 2, height / 2]), min(height, width) // 2
    offset = middle - to_source @ middle + border
    padded = Image.fromarray(np.pad(image, ((border, border), (border, border), (0, 0)), mode="reflect"))
    rows = (*to_source[0], offset[0], *to_source[1], offset[1])
    return np.array(padded.transform((width, height), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR))


def _shadow(rng: Generator, height: int, width: int) -> Field:
    """A straight edge anywhere, soft or sharp, with more or less light on one side of it."""
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width) - 0.5
    beyond = np.cos(turn) * x + np.sin(turn) * y - rng.uniform(-0.35, 0.35)
    side = 1 / (1 + np.exp(np.clip(-beyond * rng.uniform(8, 80), -30, 30)))
    shadow: Field = (rng.uniform(-1.2, 0.6) * side).astype(np.float32)
    return shadow
