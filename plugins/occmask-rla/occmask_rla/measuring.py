"""How well covered parts are restored, per condition, with intervals over people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import occmask

from .quality import psnr, ssim
from .restoring import Floats, blend, fill, restore

CANDIDATES = ("covered", "mean_face", "mean_face_found", "restored", "painted")
_SEED = 7  # the library's own, so that these are the faces that recognition is measured on


class CoveredQuality(NamedTuple):
    """Of one condition; each measure by candidate, a mean with its interval (value, low, high)."""

    faces: int  # that were covered at all
    psnr: Mapping[str, Any]
    ssim: Mapping[str, Any]


def measure_quality(
    model: occmask.FaceModel,
    training: occmask.FaceSet,
    probes: occmask.FaceSet,
    *,
    names: Sequence[str] | None = None,
    progress: bool = False,
) -> dict[str, CoveredQuality]:
    """Covered input, mean-face filling and restored faces against the uncovered ones, in their covered places only.

    The mean face is that of `training`, pasted exactly where the face is covered: it is told what the restorer has to
    find.  "mean_face_found" puts it where the restorer believes that something is, as softly as the restorer does;
    "painted" is what the restorer would do if it were told, too: its face in the true place.
    `names`: test conditions, None for every one that covers something.
    """
    truth = probes.images()
    mean = mean_face(training)
    bootstrap = occmask.Bootstrap()
    found = {}
    for name in names if names is not None else [name for name in occmask.CONDITIONS if name != "clean"]:
        covered = occmask.cover_probes(truth, name, seed=_SEED, grey=probes.grey)
        shown = np.flatnonzero(covered.covered.any((1, 2)))
        if not len(shown):
            raise occmask.OptionError(f"condition {name!r} covers nothing, so there is nothing to restore")
        images, where, clean = covered.images[shown], covered.covered[shown], truth[shown]
        made = restore(model, images, progress=progress)
        candidates: dict[str, Any] = {
            "covered": images,
            "mean_face": fill(images, where, mean),
            "mean_face_found": blend(images, made.cover, mean),
            "restored": made.images,
            "painted": fill(images, where, made.painted),
        }
        labels = probes.labels[shown]
        found[name] = CoveredQuality(
            len(shown),
            *(
                {what: bootstrap.mean(measure(x, clean, where), labels) for what, x in candidates.items()}
                for measure in (psnr, ssim)
            ),
        )
    return found


def mean_face(faces: occmask.FaceSet) -> Floats:
    """The mean of the pictures, (H, W, 3) in 0..255."""
    total = np.zeros((*faces.image_size, 3))
    for index in range(len(faces)):
        total += faces.image(index)
    return total / len(faces)
