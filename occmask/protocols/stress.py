"""`stress`: what covering costs a model, by how much is covered, by where, and by what covers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, ProtocolError
from ..evaluation.bootstrap import Bootstrap
from ..evaluation.checks import check_whole
from ..evaluation.far import check_fars
from ..evaluation.metrics import FloatArray, IntArray
from ..evaluation.occlusion import OcclusionAccuracy
from ..evaluation.outcomes import Trials
from ..images.pixels import Pixels
from ..matching.rows import COSINE, RowMatcher, Rows
from ..occluders.conditions import Condition, cover
from ..spec import Spec
from .covering import DRAWN_OCCLUDERS, blocks, clean_and_areas, held_out, worn
from .embedding import check_batch_size, check_rows, embed_faces, prepare_rows
from .enrolment import ChosenFaces, check_numbers, enrol
from .inputs import Embedder, Faces
from .result import Result
from .stress_bench import Bench, Measured
from .versions import computed_with

Locator = Callable[[Pixels], NDArray[np.float32]]  # uint8 (N, H, W, 3) -> boxes (N, 4) x0 y0 x1 y1 over W H W H

_MOST_PAIRS = 20_000_000  # whose scores, sorted and resampled, still fit a laptop
_WORST = 8  # pairs of each kind


class Stress:
    """Identification and verification of clean and covered probes against a clean gallery.

    Each person's first `gallery` pictures (at most half) are enrolled, the others are probes; `people` tests only the
    first so many people.  The probes are shown clean; under rectangles that cover each of `areas` (shares of the
    picture); under each of `occluders` where it is worn; and, for the map, under a block of `block` of each side of the
    picture, centred on each of `cells` x `cells` cells and clipped by the border (`cells=None`: no map).  `far`: where
    the TAR is read; None takes the smallest power of ten that at least 10 impostor pairs resolve.  The coverings depend
    on `seed` and the picture's place alone, so all models see the same ones; each covered picture is embedded once,
    `batch_size` of them at a time.  Intervals hold `confidence` of `resamples` bootstrap draws of people.
    Raises `OptionError` for values that cannot be.
    """

    def __init__(
        self,
        *,
        gallery: int = 5,
        people: int | None = None,
        areas: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5),
        occluders: Sequence[Spec | str | Mapping[str, Any]] = DRAWN_OCCLUDERS,
        cells: int | None = 5,
        block: float = 0.4,
        far: float | None = None,
        seed: int = 7,
        batch_size: int = 128,
        confidence: float = 0.95,
        resamples: int = 200,
    ):
        if isinstance(occluders, str):
            raise OptionError(f'occluders is a list of names, such as ["cup"], not {occluders!r}')
        if check_whole("seed", seed, least=0, usual=7) >= 2**32:
            raise OptionError(f"seed is a whole number in 0 .. 2**32 - 1, not {seed!r}")
        self.gallery, self.people, self.far, self.seed = gallery, people, far, seed
        self.batch_size = check_batch_size(batch_size)
        check_numbers(gallery, people)
        self.graded, self.worn = clean_and_areas(areas), worn(occluders)
        self.areas, self.cells, self.block = tuple(areas), cells, block
        self.blocks = () if cells is None else blocks(cells, block)
        self.sampling: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": 0}
        check_fars(() if far is None else (far,))
        Bootstrap(**self.sampling)  # refuses what cannot be

    def __call__(
        self, embed: Embedder, data: Faces, *, locate: Locator | None = None, matcher: RowMatcher = COSINE
    ) -> Result:
        """Figures `rank1`, `tar@FAR` and `cosine` (with the own gallery) of each condition, and the two maps.

        `matcher` compares the rows that `embed` returns; with another than the cosine, `cosine` is its mean score.
        `locate` answers where uint8 pictures (N, H, W, 3) are covered, boxes (N, 4): with it each condition gets `iou`,
        the mean IoU of predicted and true box.  Raises `ProtocolError` when fewer than two people have two pictures or
        the set is too small for `far`.
        """
        chosen = enrol(data.labels, gallery=self.gallery, people=self.people)
        if len(chosen.gallery) * len(chosen.probes) > _MOST_PAIRS:
            raise ProtocolError(
                f"{len(chosen.gallery)} gallery pictures x {len(chosen.probes)} probes are more than {_MOST_PAIRS:,} "
                "pairs; test fewer people, such as people=1000"
            )
        used = np.sort(np.concatenate([chosen.gallery, chosen.probes]))
        clean = embed_faces(embed, ChosenFaces(data, used), batch_size=self.batch_size, matcher=matcher)
        known, unseen = (clean.embedding[np.searchsorted(used, part)] for part in (chosen.gallery, chosen.probes))
        label = data.labels[chosen.probes]
        bench = Bench(known, data.labels[chosen.gallery], label, far=self.far, sampling=self.sampling, matcher=matcher)
        covered = _CoveredProbes(
            data, chosen.probes, unseen, seed=self.seed, batch_size=self.batch_size, matcher=matcher
        )

        measured: dict[str, Measured] = {}
        for condition in (*self.graded, *self.worn):
            seen = covered.embed(condition, embed, locate)
            found = measured[condition.name] = bench.measure(seen.rows)
            if seen.boxes is not None:
                located = OcclusionAccuracy(**self.sampling)(*seen.boxes, label)
                found.figures["iou"], found.trials["iou"] = located.iou, Trials(label, located.iou_each)
        maps: dict[str, dict[str, FloatArray]] = {}
        if self.cells is not None:
            cells = [bench.outcomes(covered.embed(block, embed, None).rows) for block in self.blocks]
            maps = {
                metric: bench.falls(measured["clean"].trials[metric], [cell[metric] for cell in cells], self.cells)
                for metric in ("rank1", "cosine")
            }
        return Result(
            protocol="stress",
            settings={**self._settings(), "far": bench.far, "matcher": matcher.setting},
            data={
                "name": "faces",
                "fingerprint": clean.fingerprint,
                "people": len(np.unique(label)),
                "gallery": len(chosen.gallery),
                "probes": len(chosen.probes),
            },
            figures={name: found.figures for name, found in measured.items()},
            trials={name: found.trials for name, found in measured.items()},
            draws={name: found.draws for name, found in measured.items()},
            curves={name: found.curves for name, found in measured.items()},
            maps=maps,
            worst=bench.most_wrong(unseen, data, chosen.probes, chosen.gallery, count=_WORST),
            notes=(
                *self._notes([data.people[one] for one in chosen.left_out], bench.far, grey=data.grey),
                *about_cosine(matcher),
            ),
            versions=computed_with(),
        )

    def _settings(self) -> dict[str, Any]:
        names = [condition.name for condition in self.worn]
        return {
            "gallery": self.gallery,
            "people": self.people,
            "areas": list(self.areas),
            "occluders": names,
            "held_out": list(held_out(names)),
            "cells": self.cells,
            "block": self.block,
            **self.sampling,
            "seed": self.seed,
        }

    def _notes(self, left_out: Sequence[str], far: float | None, *, grey: bool) -> tuple[str, ...]:
        notes = [
            "The gallery is clean. Only the probes are covered, by the same drawings for every model.",
            "Rectangles of a given area and the map's blocks have textures that no recipe of occmask trains on.",
            "Held-out occluders are those that no recipe of occmask draws in training. A model trained elsewhere may "
            "know them, and one trained on clean faces knows none.",
        ]
        if self.blocks:
            notes.append("The map's blocks are clipped by the border: at the edge they hide less of the picture.")
        if far is None:
            notes.append("Too few impostor pairs resolve any false accept rate, so there is no TAR.")
        if grey:
            notes.append("The pictures are grey, and so is what covers them.")
        if left_out:
            named = ", ".join(left_out[:8]) + (f" and {len(left_out) - 8} more" if len(left_out) > 8 else "")
            who = "person" if len(left_out) == 1 else "people"
            notes.append(f"Left out: {len(left_out)} {who} with a single picture ({named}).")
        return tuple(notes)


def about_cosine(matcher: RowMatcher) -> list[str]:
    """What must be said of the figure of that name: nothing, or that it is something else."""
    if matcher.setting == "cosine":
        return []
    return ["Faces were not compared by cosine: the figure of that name is the matcher's mean score."]


class _Seen(NamedTuple):
    """Probes under a condition as the model saw them."""

    rows: Rows  # (P, V) as the matcher prepared them
    boxes: tuple[NDArray[np.float32], NDArray[np.float32]] | None  # (P, 4) predicted and true, if it was asked


class _CoveredProbes:
    """The probes, covered and embedded batch by batch: memory holds one batch, and no picture is embedded twice."""

    def __init__(self, faces: Faces, probes: IntArray, clean: Rows, *, seed: int, batch_size: int, matcher: RowMatcher):
        self.faces, self.probes, self.clean, self.seed, self.batch_size = faces, probes, clean, seed, batch_size
        self.matcher = matcher

    def embed(self, condition: Condition, embed: Embedder, locate: Locator | None) -> _Seen:
        if condition.occlusion is None and locate is None:
            return _Seen(self.clean, None)
        rows, predicted, true = [], [], []
        for start in range(0, len(self.probes), self.batch_size):
            images = self.faces.images(self._batch(start))
            covered = cover(images, condition, first=start, seed=self.seed, grey=self.faces.grey)
            if condition.occlusion is not None:
                found = check_rows(np.asarray(embed(covered.images)), images)
                names = [f"{self.faces.name(int(index))} under {condition.name}" for index in self._batch(start)]
                rows.append(prepare_rows(self.matcher, found, names.__getitem__))
            if locate is not None:
                predicted.append(np.asarray(locate(covered.images), np.float32))
                true.append(covered.box)
        boxes = (np.concatenate(predicted), np.concatenate(true)) if predicted else None
        return _Seen(np.concatenate(rows) if rows else self.clean, boxes)

    def _batch(self, start: int) -> IntArray:
        return self.probes[start : start + self.batch_size]
