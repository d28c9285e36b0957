"""The same figures from several seeds or folds, as one."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..evaluation.bootstrap import paired_difference
from ..evaluation.metrics import Estimate
from ..measure import Scores, plain, score_fixed_box
from ..occluders.conditions import Probes
from ..patterns import PatternGrid


def method_results(runs: Sequence[Scores]) -> dict[str, Any]:
    """One method's figures over its seeds: sections of condition -> figure -> value, low, high."""
    sections: dict[str, list[dict[str, dict[str, Estimate]]]] = {
        "identification": [scores.identification for scores in runs],
        "verification": [scores.verification for scores in runs],
        "occlusion": [scores.occlusion for scores in runs if scores.occlusion],
    }
    return {section: merge(repeats) for section, repeats in sections.items() if repeats}


def merge(repeats: Sequence[Mapping[str, Mapping[str, Estimate]]]) -> dict[str, Any]:
    """Means over seeds or folds: of the value, and of each end of its interval; `std` over the repeats."""
    merged: dict[str, Any] = {}
    for condition, metrics in repeats[0].items():
        merged[condition] = {}
        for metric in metrics:
            found = np.array([repeat[condition][metric] for repeat in repeats])  # (repeats, 3)
            entry = plain(Estimate(*found.mean(0)))
            if len(repeats) > 1:
                entry |= {"std": float(found[:, 0].std(ddof=1)), "values": found[:, 0].tolist()}
            merged[condition][metric] = entry
    return merged


def fixed_box(
    conditions: Mapping[str, Probes], labels: NDArray[np.int64], image_size: tuple[int, int]
) -> dict[str, Any]:
    """What the best box that never looks at the picture reaches under each condition."""
    grid = PatternGrid(5, image_size=image_size)
    return {name: {"iou": plain(score_fixed_box(found.box, labels, grid=grid))} for name, found in conditions.items()}


def rank1_differences(
    method: str, against: str, runs: Sequence[Mapping[str, Scores]], people: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Paired differences of rank-1 over the same probes and all seeds, one a condition."""
    found = []
    for condition in runs[0][method].correct:
        a, b = (np.concatenate([run[name].correct[condition] for run in runs]) for name in (method, against))
        difference = plain(paired_difference(a, b, np.tile(people, len(runs))))
        found.append(
            {"method": method, "against": against, "condition": condition, "metric": "rank1", "difference": difference}
        )
    return found


def environment() -> dict[str, Any]:
    """Where the figures were made."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }
