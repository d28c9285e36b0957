"""`stress`: what covering costs a model, by how much is covered, by where, and by what covers it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, ProtocolError, ShapeError
from ..images.pixels import Pixels
from ..spec import Spec
from .bootstrap import Bootstrap
from .checks import unit_rows
from .covering import DRAWN_OCCLUDERS, Condition, blocks, clean_and_areas, cover, held_out, worn
from .embedding import embed_faces
from .enrolment import enrol
from .inputs import Embedder, Faces
from .metrics import Estimate, FloatArray, IntArray
from .occlusion import OcclusionAccuracy
from .protocols import MIN_FALSE_ACCEPTS, Identification, Verification
from .result import Curve, Result, Trials
from .score_curves import histogram, most_wrong, thin_roc

Locator = Callable[[Pixels], NDArray[np.float32]]  # uint8 (N, H, W, 3) -> boxes (N, 4) x0 y0 x1 y1 over W H W H

_MOST_PAIRS = 20_000_000  # whose scores, sorted and resampled, still fit a laptop
_LONGEST_CMC = 50
_WORST = 8  # pairs of each kind


class Stress:
    """Identification and verification of clean and covered probes against a clean gallery.

    Each person's first `gallery` pictures (at most half) are enrolled, the others are probes; `people` tests only the
    first so many people.  The probes are shown clean; under rectangles that cover each of `areas` (shares of the
    picture); under each of `occluders` where it is worn; and, for the map, under a block of `block` of each side of the
    picture, centred on each of `cells` x `cells` cells and clipped by the border (`cells=None`: no map).  `far`: where
    the TAR is read; None takes the smallest power of ten that at least 10 impostor pairs resolve.  The coverings depend
    on `seed` and the picture's place alone, so all models see the same ones; each covered picture is embedded once.
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
        if batch_size < 1:
            raise OptionError(f"batch_size is {batch_size!r}; at least 1 is needed")
        if isinstance(occluders, str):
            raise OptionError(f'occluders is a list of names, such as ["cup"], not {occluders!r}')
        if isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise OptionError(f"seed is a whole number in 0 .. 2**32 - 1, not {seed!r}")
        self.gallery, self.people, self.far, self.seed, self.batch_size = gallery, people, far, seed, batch_size
        self.areas, self.cells, self.block = tuple(areas), cells, block
        self.graded, self.worn = clean_and_areas(areas), worn(occluders)
        self.blocks = () if cells is None else blocks(cells, block)
        self.sampling: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": 0}
        self.bootstrap = Bootstrap(**self.sampling)
        Verification(fars=() if far is None else (far,), **self.sampling)  # refuses a FAR that cannot be

    def __call__(self, embed: Embedder, data: Faces, *, locate: Locator | None = None) -> Result:
        """Figures `rank1`, `tar@FAR` and `cosine` (with the own gallery) of each condition, and the two maps.

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
        clean = embed_faces(embed, _Chosen(data, np.concatenate([chosen.gallery, chosen.probes])))
        known, unseen = np.split(clean.embedding, [len(chosen.gallery)])
        labels = data.labels[chosen.gallery], data.labels[chosen.probes]
        same = labels[0][None, :] == labels[1][:, None]  # (P, G)
        far = _resolvable(int((~same).sum())) if self.far is None else self.far
        bench = _Bench(known, *labels, same, far, self.sampling)

        figures: dict[str, dict[str, Estimate]] = {}
        trials: dict[str, dict[str, Trials]] = {}
        curves: dict[str, dict[str, Curve]] = {}
        for condition in (*self.graded, *self.worn):
            rows, located = unseen, None
            if condition.occlusion is not None or locate is not None:
                rows, located = self._under(condition, embed, data, chosen.probes, locate, unseen)
            name = condition.name
            figures[name], trials[name], curves[name] = bench.measure(rows, histograms=condition in self.graded)
            if located is not None:
                found = OcclusionAccuracy(**self.sampling)(located.predicted, located.true, labels[1])
                figures[name]["iou"] = found.iou
                trials[name]["iou"] = Trials(labels[1], found.iou_each)

        maps: dict[str, dict[str, FloatArray]] = {}
        if self.cells is not None:
            outcomes = [bench.outcome(self._under(c, embed, data, chosen.probes, None, unseen)[0]) for c in self.blocks]
            maps = {
                metric: self._falls(trials["clean"][metric], [o[metric] for o in outcomes], self.cells)
                for metric in ("rank1", "cosine")
            }
        score = unseen.astype(np.float64) @ known.T.astype(np.float64)
        return Result(
            protocol="stress",
            settings={**self._settings(), "far": far},
            data={
                "name": "",
                "fingerprint": clean.fingerprint,
                "people": len(np.unique(labels[0])),
                "gallery": len(chosen.gallery),
                "probes": len(chosen.probes),
            },
            figures=figures,
            trials=trials,
            curves=curves,
            maps=maps,
            worst=most_wrong(score, same, data, chosen.probes, chosen.gallery, count=_WORST),
            notes=self._notes([data.people[label] for label in chosen.left_out], far, grey=data.grey),
        )

    def _under(
        self,
        condition: Condition,
        embed: Embedder,
        data: Faces,
        probes: IntArray,
        locate: Locator | None,
        clean: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], _Located | None]:
        """Unit embeddings of the probes under a condition, batch by batch; clean ones are those that are known."""
        rows, predicted, true = [], [], []
        for start in range(0, len(probes), self.batch_size):
            images = data.images(probes[start : start + self.batch_size])
            covered = cover(images, condition, first=start, seed=self.seed, grey=data.grey)
            if condition.occlusion is not None:
                rows.append(_unit(embed(covered.images), len(images), condition.name))
            if locate is not None:
                predicted.append(np.asarray(locate(covered.images), np.float32))
                true.append(covered.box)
        located = _Located(np.concatenate(predicted), np.concatenate(true)) if predicted else None
        return (np.concatenate(rows) if rows else clean), located

    def _falls(self, clean: Trials, covered: Sequence[FloatArray], cells: int) -> dict[str, FloatArray]:
        """What each cell costs: clean minus covered on the same probes, and the interval over people."""
        falls = [self.bootstrap.mean(clean.value - value, clean.person) for value in covered]
        shape = (cells, cells)
        return {
            "fall": np.array([f.value for f in falls]).reshape(shape),
            "low": np.array([f.low for f in falls]).reshape(shape),
            "high": np.array([f.high for f in falls]).reshape(shape),
        }

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
            "The gallery is clean. Only the probes are covered, each with the same drawings for every model.",
            "Rectangles of a given area and the map's blocks have textures that no recipe of occmask trains on. Held-out "
            "occluders are those that no recipe of occmask draws in training; a model trained elsewhere may know them.",
            "cosine: mean similarity of a probe with its own person's gallery pictures.",
        ]
        if self.blocks:
            notes.append(
                f"Each number of the map is what a block over {100 * self.block:g} % of each side costs, centred on the "
                "cell and clipped by the border: blocks at the edge hide less of the picture."
            )
        if far is None:
            notes.append("Too few impostor pairs resolve any false accept rate, so there is no TAR.")
        if grey:
            notes.append("The pictures are grey, and so is what covers them.")
        if left_out:
            named = ", ".join(left_out[:8]) + (f" and {len(left_out) - 8} more" if len(left_out) > 8 else "")
            notes.append(f"Left out: {len(left_out)} people with a single picture ({named}).")
        return tuple(notes)


class _Located(NamedTuple):
    predicted: NDArray[np.float32]  # (P, 4)
    true: NDArray[np.float32]  # (P, 4)


class _Chosen:
    """Some of the faces, in the order of `indices`."""

    def __init__(self, faces: Faces, indices: IntArray):
        self.faces, self.indices = faces, indices
        self.labels: IntArray = faces.labels[indices]
        self.people, self.grey = faces.people, faces.grey

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        return self.faces.name(int(self.indices[index]))

    def images(self, indices: Any = None) -> Pixels:
        return self.faces.images(self.indices if indices is None else self.indices[list(indices)])


class _Bench:
    """The gallery, and what is measured of probes against it."""

    def __init__(
        self,
        known: NDArray[np.float32],
        known_label: IntArray,
        label: IntArray,
        same: NDArray[np.bool_],
        far: float | None,
        sampling: Mapping[str, Any],
    ):
        self.known, self.known_label, self.label, self.same, self.far = known, known_label, label, same, far
        self.identification = Identification(**sampling)
        self.verification = None if far is None else Verification(fars=(far,), **sampling)
        self.bootstrap = Bootstrap(**sampling)

    def outcome(self, unseen: NDArray[np.float32]) -> dict[str, FloatArray]:
        """Of each probe (P,): whether it was named correctly, and its mean cosine with its own gallery pictures."""
        named = self.identification(self.known, self.known_label, unseen, self.label)
        score = unseen.astype(np.float64) @ self.known.T.astype(np.float64)
        cosine = (score * self.same).sum(axis=1) / self.same.sum(axis=1)
        return {"rank1": named.correct.astype(np.float64), "cosine": cosine}

    def measure(
        self, unseen: NDArray[np.float32], *, histograms: bool
    ) -> tuple[dict[str, Estimate], dict[str, Trials], dict[str, Curve]]:
        """Figures, the outcomes behind them, and curves of one condition."""
        named = self.identification(self.known, self.known_label, unseen, self.label)
        outcome = self.outcome(unseen)
        figures = {"rank1": named.rank1}
        curves = {"cmc": Curve(np.arange(1.0, len(named.cmc) + 1)[:_LONGEST_CMC], named.cmc[:_LONGEST_CMC])}
        if self.verification is not None and self.far is not None:
            found = self.verification(unseen, self.label, self.known, self.known_label)
            figures[f"tar@{self.far:g}"] = found.tar[self.far]
            curves["roc"] = thin_roc(found.curve.far, found.curve.tar, num_impostor=found.num_impostor)
        if histograms:
            score = unseen.astype(np.float64) @ self.known.T.astype(np.float64)
            curves |= {"genuine": histogram(score[self.same]), "impostor": histogram(score[~self.same])}
        figures["cosine"] = self.bootstrap.mean(outcome["cosine"], self.label)
        return figures, {name: Trials(self.label, value) for name, value in outcome.items()}, curves


def _unit(rows: NDArray[np.float32], count: int, condition: str) -> NDArray[np.float32]:
    if len(rows) != count:
        raise ShapeError(f"the embedder gave {len(rows)} rows for {count} pictures; it must give one a picture")
    return unit_rows(condition, rows).astype(np.float32)


def _resolvable(num_impostor: int) -> float | None:
    """The smallest power of ten at which at least 10 impostor pairs pass; None when there is none below 1."""
    power = math.ceil(math.log10(MIN_FALSE_ACCEPTS / num_impostor) - 1e-9) if num_impostor else 0
    return 10.0**power if power < 0 else None
