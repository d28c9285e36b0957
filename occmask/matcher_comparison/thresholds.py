"""One threshold for clean and covered faces: how far the false accept rate moves when faces are covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..data.faces import FaceSet
from ..evaluation.metrics import FloatArray
from ..matching.calibration_fit import Impostors, calibration_of, impostor_scores
from ..measure.templates import templates_of
from ..models.face import FaceModel
from ..occluders.occlude import AreaPlacement, Occlusions
from ..spec import Spec
from .figures import Run
from .settings import FAR

_COPIES = 3  # covered versions of each picture
_SEED = 41


def impostors_of(model: FaceModel, held_out: FaceSet, *, matcher: Spec) -> Impostors:
    """How two people whom the model never saw score: clean, and under training occluders of 5 to 60 % area."""
    images, rng = held_out.images(), np.random.default_rng(_SEED)
    rectangle = Occlusions((Spec("rectangle"),), AreaPlacement(0.05, 0.6), share=1)
    shown = [images] + [
        np.stack([rectangle(image, rng, grey=held_out.grey).image for image in images]) for _ in range(_COPIES)
    ]
    template = templates_of(model, np.concatenate(shown))
    labels = torch.from_numpy(np.tile(held_out.labels, len(shown)))
    return impostor_scores(template, labels, matcher=matcher, clean=torch.arange(len(labels)) < len(images))


def calibrations(impostors: Mapping[tuple[int, int], Impostors], *, matcher: Spec) -> dict[tuple[int, int], Spec]:
    """(fold, seed) -> `matcher` calibrated on the people of the other folds.

    Each of them was seen by that fold's recogniser, which keeps them apart too well; so their scores are those that the
    recogniser of their own fold gives, which never saw them.  Nobody is in two folds.
    """
    return {
        run: calibration_of([found for other, found in impostors.items() if other[0] != run[0]], matcher=matcher)
        for run in impostors
    }


def false_accepts(runs: Sequence[Run], entries: Sequence[str]) -> dict[str, dict[str, float]]:
    """Entry -> condition -> FAR at the threshold that accepts `FAR` of the clean pairs of two people; means over runs.

    The threshold is that of the same people's clean pictures, so only the covering moves it.
    """
    return {entry: {c: _mean([_far(run, entry, c) for run in runs]) for c in runs[0].scores} for entry in entries}


def _far(run: Run, entry: str, condition: str) -> float:
    apart = run.label[:, None] != run.label[None, :]
    clean: FloatArray = run.scores["clean"][entry][apart]
    threshold = np.quantile(clean, 1 - FAR)
    return float((run.scores[condition][entry][apart] >= threshold).mean())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def factors(rates: Mapping[str, float]) -> dict[str, float]:
    """How many times too high, or too low, the false accept rate is under each condition: at least 1."""
    found = {condition: max(rate, 1e-9) / FAR for condition, rate in rates.items()}
    return {condition: max(times, 1 / times) for condition, times in found.items()}
