"""Templates of clean and of covered pictures -> the score of every pair, entry by entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..evaluation.metrics import FloatArray
from ..images.pixels import Pixels
from ..matching import MATCHERS
from ..measure.templates import templates_of
from ..models.face import FaceModel
from ..occluders.conditions import Probes
from ..shapes import Template
from .settings import Entry


def truly_visible(covered: NDArray[np.bool_], grid: tuple[int, int] | None) -> Tensor:
    """(N, H, W), True where a face is covered -> the visible share of each place of the grid, (N, P)."""
    hidden = torch.from_numpy(covered)[:, None].float()
    return 1 - F.adaptive_avg_pool2d(hidden, grid or (1, 1)).flatten(1)


def scores_of(model: FaceModel, clean: Template, probes: Probes, entries: Iterable[Entry]) -> dict[str, FloatArray]:
    """Clean pictures against covered ones: entry -> (clean, covered) scores."""
    found = templates_of(model, probes.images)
    truth = truly_visible(probes.covered, found.grid)
    everything = torch.ones(len(clean.embedding), truth.shape[1])
    scores: dict[str, FloatArray] = {}
    for entry in entries:
        matcher = MATCHERS.build(entry.matcher)
        known, new = (matcher.prepare(entry.view(t, v)) for t, v in ((clean, everything), (found, truth)))
        scores[entry.name] = matcher.scores(known, new).double().numpy()
    return scores


def scores_by_condition(
    model: FaceModel, images: Pixels, conditions: Mapping[str, Probes], entries: Iterable[Entry]
) -> dict[str, dict[str, FloatArray]]:
    """Condition -> entry -> (N, N) scores of the clean pictures against the same ones covered."""
    entries = tuple(entries)
    clean = templates_of(model, images)
    return {name: scores_of(model, clean, probes, entries) for name, probes in conditions.items()}
