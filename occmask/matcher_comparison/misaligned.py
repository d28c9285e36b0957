"""Probes that are not quite aligned: moved, scaled or turned before anything covers them."""

from __future__ import annotations

import zlib

import numpy as np

from ..data.faces import FaceSet
from ..images.distortion import distort
from ..measure.conditions import PROBE_SEED
from ..occluders.conditions import Probes, cover_probes

# by how much: pixels in any direction, a share up or down, degrees either way
DISTORTIONS = {
    "shift_3": (3.0, 0.0, 0.0),
    "shift_6": (6.0, 0.0, 0.0),
    "scale_4": (0.0, 0.04, 0.0),
    "scale_8": (0.0, 0.08, 0.0),
    "rotation_5": (0.0, 0.0, 5.0),
    "rotation_10": (0.0, 0.0, 10.0),
}
COVERED_BY = ("clean", "area_30")


def misaligned(faces: FaceSet) -> dict[str, Probes]:
    """Each distortion of the faces, uncovered ("shift_6") and covered ("shift_6, area_30"), the same for all models."""
    found = {}
    for name, (shift, scale, rotation) in DISTORTIONS.items():
        rng = np.random.default_rng((PROBE_SEED, zlib.crc32(name.encode())))
        direction, sign = rng.uniform(0, 2 * np.pi, len(faces)), rng.choice((-1.0, 1.0), len(faces))
        moved = distort(
            faces.images(),
            shift=shift * np.stack([np.cos(direction), np.sin(direction)], axis=1),
            scale=1 + scale * sign,
            rotation=rotation * sign,
        )
        for condition in COVERED_BY:
            title = name if condition == "clean" else f"{name}, {condition}"
            found[title] = cover_probes(moved, condition, seed=PROBE_SEED, grey=faces.grey)
    return found
