"""What the head knows of what is covered, over all people and on average over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..evaluation.metrics import IntArray
from ..evaluation.occupancy import OccupancyAccuracy
from ..measure import answers
from ..models.face import FaceModel
from ..occluders.conditions import Probes


class Maps(NamedTuple):
    """What one model says of faces under one condition, and the truth."""

    coverage: NDArray[np.float32]  # (N, h, w)
    covered: NDArray[np.bool_]  # (N, H, W)


def maps_of(model: FaceModel, conditions: Mapping[str, Probes]) -> dict[str, Maps]:
    """The head's map of every probe."""
    found = {}
    for name, probes in conditions.items():
        coverage = answers(model, probes.images).coverage
        assert coverage is not None
        found[name] = Maps(coverage.numpy(), probes.covered)
    return found


def occupancy_figures(
    maps: Sequence[Mapping[str, Maps]], labels: Sequence[IntArray], seeds: Sequence[int], *, resamples: int
) -> dict[str, Any]:
    """Condition -> figure -> value, low and high.

    One entry of each argument a run; the folds of one seed are taken together, and figures are means over the seeds.
    """
    accuracy = OccupancyAccuracy(resamples=resamples)
    found: dict[str, Any] = {}
    for condition in maps[0]:
        results = []
        for seed in sorted(set(seeds)):
            own = [i for i, s in enumerate(seeds) if s == seed]
            offsets = np.concatenate([[0], np.cumsum([labels[i].max() + 1 for i in own])])
            people = np.concatenate([labels[i] + offset for i, offset in zip(own, offsets[:-1], strict=True)])
            coverage, covered = (
                np.concatenate([getattr(maps[i][condition], name) for i in own]) for name in Maps._fields
            )
            results.append(accuracy(coverage, covered, people))
        figures = {
            name: np.mean([getattr(r, name) for r in results], axis=0).tolist()
            for name in ("cell_auc", "pixel_iou", "flagged", "area")
            if getattr(results[0], name) is not None
        }
        found[condition] = {
            **{name: dict(zip(("value", "low", "high"), ends, strict=True)) for name, ends in figures.items()},
            "calibration_error": float(np.mean([r.calibration_error for r in results])),
        }
    return found
