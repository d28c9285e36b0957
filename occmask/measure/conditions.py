"""A model under every test condition: identification, verification, and what it believes is covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.faces import FaceSet
from ..devices import device_of
from ..evaluation.embed import embed
from ..evaluation.metrics import Estimate
from ..evaluation.occlusion import OcclusionAccuracy, box_iou
from ..evaluation.recognition import Identification, Verification
from ..images.pixels import to_tensor
from ..models.face import FaceModel
from ..occluders.conditions import CONDITIONS, Probes, cover_probes
from ..patterns import PatternGrid
from ..shapes import OcclusionAnswer
from .comparers import Comparer, CosineComparer, embedder

PROBE_SEED = 7  # one fixed set of covered probes for every method, seed and fold


class Scores(NamedTuple):
    """One model under every condition."""

    identification: dict[str, dict[str, Estimate]]  # condition -> rank1
    verification: dict[str, dict[str, Estimate]]  # condition -> auc, tar
    occlusion: dict[str, dict[str, Estimate]]  # condition -> iou; empty without a head
    correct: dict[str, NDArray[np.bool_]]  # condition -> (probes,) named correctly


def probes_by_condition(faces: FaceSet, *, names: Sequence[str] = CONDITIONS) -> dict[str, Probes]:
    """The faces clean, by covered area and by occluder, the same for everybody."""
    images = faces.images()
    return {name: cover_probes(images, name, seed=PROBE_SEED, grey=faces.grey) for name in names}


def answers(model: FaceModel, images: NDArray[np.uint8], *, batch_size: int = 100) -> OcclusionAnswer:
    """What the model believes is covered in pictures (N, H, W, 3); on the CPU, wherever the model is."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = to_tensor(images[start : start + batch_size], model.config.input_spec).to(device_of(model))
            found.append(model.occlusion_answer(model(batch, occlusion=True)))
    return OcclusionAnswer(*(torch.cat(parts).cpu() for parts in zip(*found, strict=True)))


def score_known_people(
    model: FaceModel,
    gallery: FaceSet,
    probes: FaceSet,
    conditions: Mapping[str, Probes],
    *,
    far: float,
    compare: Comparer | None = None,
) -> Scores:
    """Known people, unseen pictures: identify each probe, and verify all pairs of gallery pictures and probes.

    `compare` scores the gallery against probes; None is the cosine of their embeddings.
    """
    comparer = CosineComparer() if compare is None else compare
    known = comparer.look(model, gallery.images())
    scores = Scores({}, {}, {}, {})
    for name, condition in conditions.items():
        score = comparer.scores(known, comparer.look(model, condition.images))  # (G, P)
        named = Identification().of_scores(score.T, gallery.labels, probes.labels)
        verified = Verification(fars=(far,)).of_scores(score, gallery.labels, probes.labels)
        scores.identification[name] = {"rank1": named.rank1}
        scores.verification[name] = {"auc": verified.auc, "tar": verified.tar[far]}
        scores.correct[name] = named.correct
        if model.sees_occlusion:
            predicted = answers(model, condition.images).box.numpy()
            scores.occlusion[name] = {"iou": OcclusionAccuracy()(predicted, condition.box, probes.labels).iou}
    return scores


def score_unseen_people(
    model: FaceModel, faces: FaceSet, conditions: Mapping[str, Probes], *, far: float
) -> dict[str, dict[str, Estimate]]:
    """Subject-disjoint verification: all pairs of a clean and a covered picture, except of one photograph."""
    spec = model.config.input_spec
    clean = embed(embedder(model), to_tensor(faces.images(), spec))
    same_photograph = np.eye(len(faces), dtype=bool)
    scores = {}
    for name, condition in conditions.items():
        covered = embed(embedder(model), to_tensor(condition.images, spec))
        found = Verification(fars=(far,))(clean, faces.labels, covered, faces.labels, excluded=same_photograph)
        scores[name] = {"auc": found.auc, "tar": found.tar[far]}
    return scores


def score_fixed_box(boxes: NDArray[np.float32], labels: NDArray[np.int64], *, grid: PatternGrid) -> Estimate:
    """The IoU of the best answer that never looks at the picture: one pattern for all faces, chosen with hindsight.

    boxes (N, 4): the true ones, over W H W H.  What a predictor must exceed before its IoU means anything.
    """
    height, width = grid.image_size
    answers = grid.boxes / np.array([width, height, width, height])
    best = max(answers, key=lambda box: float(box_iou(np.tile(box, (len(boxes), 1)), boxes).mean()))
    return OcclusionAccuracy()(np.tile(best, (len(boxes), 1)), boxes, labels).iou


def plain(estimate: Estimate) -> dict[str, Any]:
    """For JSON."""
    return {"value": float(estimate.value), "low": float(estimate.low), "high": float(estimate.high)}
