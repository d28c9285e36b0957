"""The `pairs` protocol: given pairs, are both pictures of one person?  LFW's and InsightFace's 10-fold evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from ..evaluation.bootstrap import Bootstrap
from ..evaluation.curves import score_histogram, thin_roc
from ..evaluation.far import about_unresolvable, check_fars, check_resolvable, resolvable_fars
from ..evaluation.figure_names import at_far
from ..evaluation.folds import FoldAccuracy, check_folds, exact_threshold, fold_accuracy, fold_bounds, grid_threshold
from ..evaluation.metrics import FloatArray, IntArray
from ..evaluation.outcomes import Trials
from ..evaluation.pair_figures import PairFigures, ScoredPairs, pair_figures, weighted_mean, worst_pairs
from ..evaluation.published import PUBLISHED_FAR, PublishedTar
from ..matching.rows import COSINE, RowMatcher
from .embedding import Embeddings, check_batch_size, embed_with_flip
from .fingerprint import joint_fingerprint
from .inputs import Embedder, Pairs
from .result import Result
from .versions import computed_with

PUBLISHED_TAR = f"published_{at_far('tar', PUBLISHED_FAR)}"

_CHUNK = 2**15  # pairs scored at once, and at most
_AT_ONCE = 2**24  # numbers a side: 128 MiB in double precision


class PairVerification:
    """k-fold accuracy, ROC, AUC, EER and TAR at FAR over given pairs, without ("plain") and with flip fusion ("flip").

    Accuracy: contiguous `folds` in the order of the pairs; each is judged by the threshold that judges most pairs of
    the other folds rightly (`exact_threshold`); the mean over the folds, their standard deviation among the notes.
    With `published` thresholds are FROM's (`grid_threshold`), and its "published_tar@1e-4" is reported beside the rest.

    `fars`: where the TAR is measured; None takes those of 1e-1 to 1e-6 that the impostor pairs resolve.  Intervals
    resample people, the folds' thresholds stay, and hold `confidence` of `resamples` draws by `seed`.  A picture is
    read once and embedded twice, the second time mirrored, `batch_size` of them at once.
    """

    def __init__(
        self,
        *,
        folds: int = 10,
        fars: Sequence[float] | None = None,
        published: bool = False,
        confidence: float = 0.95,
        resamples: int = 200,
        seed: int = 0,
        batch_size: int = 128,
    ):
        check_folds(folds)
        self.folds, self.fars, self.published, self.batch_size = (
            folds,
            check_fars(fars),
            published,
            check_batch_size(batch_size),
        )
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(self, embed: Embedder, data: Pairs, *, matcher: RowMatcher = COSINE) -> Result:
        """Embed the pictures of the pairs and measure; `matcher` compares the rows that `embed` returns.

        Raises `ProtocolError` when there are fewer pairs than folds or people than two, no genuine or no impostor pair
        outside some fold, or a FAR of `fars` at which fewer than 10 impostors would pass.
        """
        left, right, same = data.left, data.right, data.same
        num_impostor = int((~same).sum())
        fars = resolvable_fars(num_impostor) if self.fars is None else self.fars
        check_resolvable(fars, num_impostor)  # before the forwards, which take long
        fold_accuracy(same * 1.0, same, folds=self.folds)
        faces = embed_with_flip(embed, data.faces, batch_size=self.batch_size, matcher=matcher)
        people, person = np.unique(np.asarray(data.faces.labels), return_inverse=True)
        first, second = person[left], person[right]

        scored = {
            group: ScoredPairs(pair_scores(rows, left, right, matcher=matcher), same, first, second)
            for group, rows in (("plain", faces.plain), ("flip", faces.fused))
        }

        figures, draws, trials, curves, notes = {}, {}, {}, {}, []
        for group, pairs in scored.items():
            rule = grid_threshold if self.published else exact_threshold
            judged = fold_accuracy(pairs.score, same, folds=self.folds, rule=rule)
            found = self._figures(pairs, judged, len(people), fars)
            figures[group] = found.estimates
            # A bootstrap does not tell how a maximum would move, so nothing is to be compared by the published TAR.
            draws[group] = {metric: drawn for metric, drawn in found.draws.items() if metric != PUBLISHED_TAR}
            trials[group] = {"accuracy": Trials(first, judged.outcome)}
            curves[group] = {
                "roc": thin_roc(found.roc),
                "genuine": score_histogram(pairs.score[same]),
                "impostor": score_histogram(pairs.score[~same]),
            }
            notes.append(_about_folds(group, judged))
        return Result(
            protocol="pairs",
            settings={
                "folds": self.folds,
                "fars": list(fars),
                "published": self.published,
                **asdict(self.bootstrap),
                "batch_size": self.batch_size,
                "matcher": matcher.setting,
            },
            data={
                "name": "pairs",
                "fingerprint": joint_fingerprint(faces.fingerprint, left, right, same),
                "pictures": len(data.faces),
                "people": len(people),
                "pairs": len(same),
            },
            figures=figures,
            trials=trials,
            draws=draws,
            curves=curves,
            worst=worst_pairs(
                scored["plain"], lambda p: data.faces.name(int(left[p])), lambda p: data.faces.name(int(right[p]))
            ),
            notes=(*notes, *self._notes(scored["plain"], left, right)),
            versions=computed_with(),
        )

    def _figures(
        self, pairs: ScoredPairs, judged: FoldAccuracy, num_people: int, fars: tuple[float, ...]
    ) -> PairFigures:
        others: dict[str, Callable[[FloatArray], float]] = {"accuracy": weighted_mean(judged.outcome)}
        if self.published:
            others[PUBLISHED_TAR] = PublishedTar(pairs.score, pairs.same)
        return pair_figures(pairs, num_people=num_people, fars=fars, bootstrap=self.bootstrap, others=others)

    def _notes(self, pairs: ScoredPairs, left: IntArray, right: IntArray) -> list[str]:
        """What a reader must know of these pairs."""
        notes = ["the worst pairs and their scores are those without flip fusion"]
        num_impostor = int((~pairs.same).sum())
        left_out = about_unresolvable(num_impostor) if self.fars is None else None
        notes += [left_out] if left_out else []
        if self.published:
            notes.append(_about_published(PublishedTar(pairs.score, pairs.same), num_impostor))
        fold = np.repeat(np.arange(self.folds), np.diff(fold_bounds(len(left), self.folds)))
        seen = np.unique(np.stack([np.tile(fold, 2), np.concatenate([pairs.first, pairs.second])], axis=1), axis=0)
        in_folds = np.bincount(seen[:, 1])
        several = int((in_folds > 1).sum())
        if several:
            notes.append(
                f"{several} of {int((in_folds > 0).sum())} people appear in more than one fold, so thresholds were "
                "chosen in part on the people they judge"
            )
        contrary = int(((pairs.first == pairs.second) != pairs.same).sum())
        if contrary:
            notes.append(f"{contrary} pairs are labelled against the people of their pictures; the pair's label counts")
        itself = int((left == right).sum())
        if itself:
            notes.append(f"{itself} pairs show one picture twice")
        return notes


def pair_scores(rows: Embeddings, left: IntArray, right: IntArray, *, matcher: RowMatcher = COSINE) -> FloatArray:
    """Scores of pairs of rows that `matcher` prepared: rows (N, V), left and right (P,) -> (P,)."""
    score = np.empty(len(left))
    step = max(1, min(_CHUNK, _AT_ONCE // rows.shape[1]))
    for start in range(0, len(left), step):
        chunk = slice(start, start + step)
        score[chunk] = matcher.pairs(rows[left[chunk]], rows[right[chunk]])
    return score


def _about_folds(group: str, judged: FoldAccuracy) -> str:
    mean, spread = 100 * judged.accuracy.mean(), 100 * judged.accuracy.std()
    return (
        f"{group}: accuracy {mean:.2f} +- {spread:.2f} % (mean and standard deviation over {len(judged.accuracy)} "
        f"folds), thresholds {judged.threshold.min():.4f} to {judged.threshold.max():.4f}"
    )


def _about_published(tar: PublishedTar, num_impostor: int) -> str:
    if tar.place:
        return (
            f"{PUBLISHED_TAR} accepts what scores at least impostor {tar.place + 1} of {num_impostor}, from the highest"
        )
    return (
        f"{PUBLISHED_TAR} is FROM's: the threshold is the single highest of {num_impostor} impostor scores, so one "
        "impostor score decides; its interval is a rough guide, and it can be held against printed figures only"
    )
