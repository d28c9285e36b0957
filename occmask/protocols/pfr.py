"""The `pfr` protocol: partial faces against whole ones, by how much of the face is visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from ..errors import OptionError, ProtocolError, ShapeError
from ..evaluation.bootstrap import Bootstrap
from ..evaluation.curves import score_histogram, thin_roc
from ..evaluation.far import about_unresolvable, check_fars, check_resolvable, resolvable_fars
from ..evaluation.metrics import FloatArray, IntArray, identity_ranks
from ..evaluation.outcomes import Comparison, Trials
from ..evaluation.pair_figures import ScoredPairs, pair_figures, worst_pairs
from ..matching.rows import COSINE, RowMatcher
from .embedding import check_batch_size, embed_faces
from .fingerprint import joint_fingerprint
from .inputs import Embedder, PartialAndWhole
from .people import about_same_photographs, joint_labels, same_photographs, some_names
from .result import Result
from .versions import computed_with

QUARTERS = (0.25, 0.5, 0.75, 1.0)
_MOST_PAIRS = 20_000_000  # whose scores, sorted and resampled, still fit a laptop


class PartialFaces:
    """Rank-1 and verification of partial probes against whole faces, for all probes and for each bin of visible share.

    `bins`: the upper edges, ascending, the last 1; a probe is in the first bin whose edge its share does not exceed.
    `fars`: where the TAR is measured; None takes in each bin those of 1e-1 to 1e-6 that its impostor pairs resolve.
    Rank-1: the whole gallery is searched, a person scores as their best picture, ties count against the probe.
    Verification: all pairs of a probe of the bin and a gallery picture, held at once, about 120 bytes a pair.
    Intervals resample people and hold `confidence` of `resamples` draws by `seed`.  `flip` fuses every embedding with
    that of the mirrored picture; `batch_size` pictures are embedded at once.
    """

    def __init__(
        self,
        *,
        bins: Sequence[float] = QUARTERS,
        fars: Sequence[float] | None = None,
        flip: bool = False,
        confidence: float = 0.95,
        resamples: int = 200,
        seed: int = 0,
        batch_size: int = 128,
    ):
        if isinstance(bins, str) or not isinstance(bins, Sequence) or not all(isinstance(edge, Real) for edge in bins):
            raise OptionError(f"bins is a list of upper edges, such as {QUARTERS}, not {bins!r}")
        edges = [0.0, *(float(edge) for edge in bins)]
        if len(edges) < 2 or edges[-1] != 1 or not (np.diff(edges) > 0).all():
            raise OptionError(f"bins are upper edges that ascend from above 0 to 1, such as {QUARTERS}, not {bins!r}")
        self.edges, self.fars, self.flip = edges, check_fars(fars), flip
        self.batch_size = check_batch_size(batch_size)
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(self, embed: Embedder, data: PartialAndWhole, *, matcher: RowMatcher = COSINE) -> Result:
        """Embed probes and gallery, each picture once, and measure; `matcher` compares the rows that `embed` returns.

        Raises `ShapeError` for shares that are not one a probe, and `ProtocolError` for a share outside (0, 1], a probe
        whose person is not in the gallery, fewer than two people, more than 20 million pairs, or an unresolvable FAR.
        """
        visible = check_visible(data.visible, len(data.probes))
        if len(data.probes) * len(data.gallery) > _MOST_PAIRS:
            raise ProtocolError(
                f"{len(data.probes)} probes x {len(data.gallery)} pictures of the gallery are more than "
                f"{_MOST_PAIRS:,} pairs; give fewer probes, or one gallery picture a person"
            )
        people, (probe_person, gallery_person) = joint_labels(data.probes, data.gallery)
        unknown = np.setdiff1d(probe_person, gallery_person)
        if len(unknown):
            raise ProtocolError(
                f"the gallery has no picture of {some_names(people[one] for one in unknown)}, who appear among the "
                "probes; every probe's person must be in the gallery"
            )
        same = same_photographs(data.probes, probe_person, data.gallery, gallery_person)
        groups = self._groups(visible)
        notes = []
        for group, chosen in list(groups.items()):
            if len(np.unique(probe_person[chosen])) < 2:
                why = f"{len(chosen)} probes of one person" if len(chosen) else "no probes"
                notes.append(f"{group} is left out: {why}")
                del groups[group]
        if not groups:
            raise ProtocolError("the probes show fewer than two people; intervals over people need at least two")
        for chosen in groups.values():  # before the forwards, which take long
            check_resolvable(self.fars or (), _num_impostor(probe_person[chosen], gallery_person))
        probes, gallery = (
            embed_faces(embed, faces, batch_size=self.batch_size, flip=self.flip, matcher=matcher)
            for faces in (data.probes, data.gallery)
        )
        whole = gallery.embedding

        notes.append("probes: " + ", ".join(f"{len(chosen)} in {group}" for group, chosen in groups.items()))
        figures, draws, trials, curves, worst = {}, {}, {}, {}, tuple[Comparison, ...]()
        for group, chosen in groups.items():
            score = matcher.scores(probes.embedding[chosen], whole)
            person = probe_person[chosen]
            first, second = np.repeat(person, len(whole)), np.tile(gallery_person, len(chosen))
            pairs = ScoredPairs(score.reshape(-1), first == second, first, second)
            num_impostor = int((~pairs.same).sum())
            found = pair_figures(
                pairs,
                num_people=len(people),
                fars=resolvable_fars(num_impostor) if self.fars is None else self.fars,
                bootstrap=self.bootstrap,
            )
            named = (identity_ranks(score, gallery_person, person) == 1).astype(np.float64)
            figures[group] = {"rank1": self.bootstrap.mean(named, person), **found.estimates}
            draws[group], trials[group] = found.draws, {"rank1": Trials(person, named)}
            curves[group] = {
                "roc": thin_roc(found.roc),
                "genuine": score_histogram(pairs.score[pairs.same]),
                "impostor": score_histogram(pairs.score[~pairs.same]),
            }
            left_out = about_unresolvable(num_impostor) if self.fars is None else None
            notes += [f"{group}: {left_out}"] if left_out else []
            if group == "all":
                worst = worst_pairs(
                    pairs,
                    lambda p: data.probes.name(p // len(whole)),
                    lambda p: data.gallery.name(p % len(whole)),
                )
        return Result(
            protocol="pfr",
            settings={
                "bins": self.edges[1:],
                "fars": None if self.fars is None else list(self.fars),
                "flip": self.flip,
                **asdict(self.bootstrap),
                "batch_size": self.batch_size,
                "matcher": matcher.setting,
            },
            data={
                "name": "pfr",
                "fingerprint": joint_fingerprint(probes.fingerprint, gallery.fingerprint, visible),
                "pictures": len(data.probes) + len(data.gallery),
                "probes": len(data.probes),
                "people": len(people),
            },
            figures=figures,
            trials=trials,
            draws=draws,
            curves=curves,
            worst=worst,
            notes=(*notes, *about_same_photographs(same, len(data.probes))),
            versions=computed_with(),
        )

    def _groups(self, visible: FloatArray) -> dict[str, IntArray]:
        """All probes and those of each bin, by names such as "visible_25_50"."""
        of_bin = np.searchsorted(self.edges[1:], visible, side="left")
        bins = {
            f"visible_{100 * low:g}_{100 * high:g}": np.flatnonzero(of_bin == number)
            for number, (low, high) in enumerate(pairwise(self.edges))
        }
        return {"all": np.arange(len(visible)), **bins}


def check_visible(visible: ArrayLike, num_probes: int) -> FloatArray:
    """Visible shares (P,) as numbers in (0, 1]. Raises `ShapeError`, `ProtocolError` naming the probe."""
    shares = np.asarray(visible, np.float64)
    if shares.shape != (num_probes,):
        raise ShapeError(f"visible shares are {shares.shape}; there must be one a probe, ({num_probes},)")
    wrong = ~((shares > 0) & (shares <= 1))
    if wrong.any():
        raise ProtocolError(
            f"the visible share of probe {int(wrong.argmax())} is {shares[wrong][0]:g}; it is above 0 and at most 1"
        )
    return shares


def _num_impostor(probe_person: IntArray, gallery_person: IntArray) -> int:
    own = np.bincount(gallery_person, minlength=int(probe_person.max(initial=0)) + 1)
    return len(probe_person) * len(gallery_person) - int(own[probe_person].sum())
