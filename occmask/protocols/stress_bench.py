"""A gallery, and what `stress` measures of probes against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..evaluation.bootstrap import Bootstrap
from ..evaluation.curves import score_histogram, thin_roc
from ..evaluation.far import resolvable_fars
from ..evaluation.figure_names import at_far
from ..evaluation.metrics import Estimate, FloatArray, IntArray
from ..evaluation.outcomes import Comparison, Curve, Trials
from ..evaluation.pair_figures import PairFigures, ScoredPairs, pair_figures
from ..evaluation.recognition import Identification
from ..matching.rows import COSINE, RowMatcher, Rows
from .inputs import Faces

_LONGEST_CMC = 50


class Measured(NamedTuple):
    """One condition: figures, what `occmask compare` pairs them by (outcomes of probes, or draws), and curves."""

    figures: dict[str, Estimate]
    trials: dict[str, Trials]
    draws: dict[str, FloatArray]
    curves: dict[str, Curve]


class Bench:
    """known (G, V) rows of the gallery as `matcher` prepared them, its labels, and the probes' labels (P,).

    Every condition shares them.  `far`: where the TAR is read; None takes the smallest power of ten that at least 10
    impostor pairs resolve, and leaves the TAR out when there is none.  `sampling`: the options of `Bootstrap`.
    """

    def __init__(
        self,
        known: Rows,
        known_label: IntArray,
        label: IntArray,
        *,
        far: float | None,
        sampling: Mapping[str, Any],
        matcher: RowMatcher = COSINE,
    ):
        self.known, self.known_label, self.label, self.matcher = known, known_label, label, matcher
        self.same: NDArray[np.bool_] = label[:, None] == known_label[None, :]  # (P, G)
        self.far = next(reversed(resolvable_fars(int((~self.same).sum()))), None) if far is None else far
        self.identification = Identification(**sampling)
        self.bootstrap = Bootstrap(**sampling)

    def outcomes(self, unseen: Rows) -> dict[str, FloatArray]:
        """Of each probe (P,): whether it was named correctly, and its mean score with its own gallery pictures."""
        score = self.scores(unseen)
        named = self.identification.of_scores(score, self.known_label, self.label)
        return {"rank1": named.correct.astype(np.float64), "cosine": self._own_cosine(score)}

    def measure(self, unseen: Rows) -> Measured:
        """Everything about one condition, from its probes' prepared rows (P, V)."""
        score = self.scores(unseen)
        named = self.identification.of_scores(score, self.known_label, self.label)
        cosine = self._own_cosine(score)
        figures = {"rank1": named.rank1}
        curves = {
            "cmc": Curve(np.arange(1.0, len(named.cmc) + 1)[:_LONGEST_CMC], named.cmc[:_LONGEST_CMC]),
            "genuine": score_histogram(score[self.same]),
            "impostor": score_histogram(score[~self.same]),
        }
        draws: dict[str, FloatArray] = {}
        if self.far is not None:
            found = self._verified(score, self.far)
            tar = at_far("tar", self.far)
            figures[tar], draws[tar] = found.estimates[tar], found.draws[tar]
            curves["roc"] = thin_roc(found.roc)
        figures["cosine"] = self.bootstrap.mean(cosine, self.label)
        trials = {"rank1": Trials(self.label, named.correct.astype(np.float64)), "cosine": Trials(self.label, cosine)}
        return Measured(figures, trials, draws, curves)

    def falls(self, clean: Trials, covered: list[FloatArray], cells: int) -> dict[str, FloatArray]:
        """(cells, cells) maps of clean minus covered outcomes of the same probes, with the intervals' ends."""
        falls = [self.bootstrap.mean(clean.value - value, clean.person) for value in covered]
        return {
            name: np.array([getattr(fall, end) for fall in falls]).reshape(cells, cells)
            for name, end in (("fall", "value"), ("low", "low"), ("high", "high"))
        }

    def most_wrong(
        self, unseen: Rows, faces: Faces, probes: IntArray, gallery: IntArray, *, count: int
    ) -> tuple[Comparison, ...]:
        """The `count` genuine pairs scored lowest, then the `count` impostor pairs scored highest, by name."""
        score = self.scores(unseen)
        worst = []
        for genuine, badness in ((True, score), (False, -score)):
            flat = np.where(self.same == genuine, badness, np.inf).reshape(-1)
            number = min(count, int((self.same == genuine).sum()))
            nearest = np.argpartition(flat, number - 1)[:number]
            for at in nearest[np.lexsort((nearest, flat[nearest]))].tolist():
                row, column = divmod(at, score.shape[1])
                names = faces.name(int(probes[row])), faces.name(int(gallery[column]))
                worst.append(Comparison(*names, float(score[row, column]), genuine))
        return tuple(worst)

    def scores(self, unseen: Rows) -> FloatArray:
        """(P, G) of prepared rows."""
        return self.matcher.scores(unseen, self.known)

    def _verified(self, score: FloatArray, far: float) -> PairFigures:
        people, person = np.unique(np.concatenate([self.label, self.known_label]), return_inverse=True)
        first, second = person[: len(self.label)], person[len(self.label) :]
        pairs = ScoredPairs(
            score.reshape(-1), self.same.reshape(-1), np.repeat(first, len(second)), np.tile(second, len(first))
        )
        return pair_figures(pairs, num_people=len(people), fars=(far,), bootstrap=self.bootstrap)

    def _own_cosine(self, score: FloatArray) -> FloatArray:
        cosine: FloatArray = (score * self.same).sum(axis=1) / self.same.sum(axis=1)
        return cosine
