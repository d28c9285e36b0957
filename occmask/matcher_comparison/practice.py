"""What is fitted across folds: how sure the head should be, and how impostors score by how much both faces show.

The people that a model was trained on say neither: it knows them too well.  So each fold's model looks at its own
held-out people under *training* occluders, and what is fitted for one fold comes from the models of the others, whose
people are on that fold's training side.  Nobody is in two folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..coverage import coverage_target
from ..data.faces import FaceSet
from ..devices import device_of
from ..evaluation.calibration import fit_temperature
from ..evaluation.metrics import IntArray
from ..images.pixels import Pixels, to_tensor
from ..matching.calibration_fit import Impostors, calibration_of, impostor_scores
from ..measure.templates import templates_of
from ..models.face import FaceModel
from ..occluders.occlude import AreaPlacement, Occlusions
from ..shapes import OcclusionTruth
from ..spec import Spec

T = TypeVar("T")
Key = tuple[int, int]  # fold and seed
_COPIES = 3  # covered versions of each picture
_SEED = 41
_AT_ONCE = 100


class Practice(NamedTuple):
    """Faces as they are, and covered by training occluders at 5 to 60 % area."""

    images: Pixels  # (N, H, W, 3)
    covered: NDArray[np.bool_]  # (N, H, W)
    labels: IntArray  # (N,)
    clean: NDArray[np.bool_]  # (N,)


class Evidence(NamedTuple):
    """What a head says of practice faces, and the truth."""

    logits: NDArray[np.float32]  # (N, h, w)
    share: NDArray[np.float32]  # (N, h, w) covered share of each place


def practice_of(held_out: FaceSet) -> Practice:
    """The same for every model that did not see these people."""
    images, rng = held_out.images(), np.random.default_rng(_SEED)
    rectangle = Occlusions((Spec("rectangle"),), AreaPlacement(0.05, 0.6), share=1)
    drawn = [rectangle(image, rng, grey=held_out.grey) for _ in range(_COPIES) for image in images]
    return Practice(
        np.concatenate([images, np.stack([one.image for one in drawn])]),
        np.concatenate([np.zeros(images.shape[:3], bool), np.stack([one.covered for one in drawn])]),
        np.tile(held_out.labels, 1 + _COPIES),
        np.arange((1 + _COPIES) * len(images)) < len(images),
    )


def evidence_of(model: FaceModel, practice: Practice) -> Evidence:
    """The head's logits, which are the same at any temperature."""
    logits, shares = [], []
    with torch.inference_mode():
        for start in range(0, len(practice.images), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            batch = to_tensor(practice.images[some], model.config.input_spec).to(device_of(model))
            pattern = model(batch, occlusion=True).pattern
            assert pattern is not None
            truth = OcclusionTruth(torch.empty(0), torch.from_numpy(practice.covered[some]))
            logits.append(pattern[:, 0].cpu().numpy())
            shares.append(coverage_target(truth, (pattern.shape[2], pattern.shape[3]))[:, 0].numpy())
    return Evidence(np.concatenate(logits), np.concatenate(shares))


def temperatures(evidence: Mapping[Key, Evidence]) -> dict[Key, float]:
    """Of each model's head, fitted to what the models of the other folds say."""
    found = {}
    for key in evidence:
        others = _of_other_folds(evidence, key)
        logits, share = (np.concatenate([getattr(e, name).ravel() for e in others]) for name in Evidence._fields)
        found[key] = fit_temperature(logits, share)
    return found


def impostors_of(model: FaceModel, practice: Practice, *, matcher: Spec) -> Impostors:
    """How two people whom the model never saw score."""
    template = templates_of(model, practice.images)
    labels, clean = torch.from_numpy(practice.labels), torch.from_numpy(practice.clean)
    return impostor_scores(template, labels, matcher=matcher, clean=clean)


def calibrations(impostors: Mapping[Key, Impostors], *, matcher: Spec) -> dict[Key, Spec]:
    """`matcher`, calibrated for each model on the people of the other folds."""
    return {key: calibration_of(_of_other_folds(impostors, key), matcher=matcher) for key in impostors}


def _of_other_folds(found: Mapping[Key, T], key: Key) -> list[T]:
    return [value for other, value in found.items() if other[0] != key[0]]
