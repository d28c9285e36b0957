"""Protocols: embeddings and labels -> identification and verification figures with intervals over identities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ProtocolError, ShapeError
from .bootstrap import Bootstrap
from .checks import labels_of, same_width, unit_rows
from .far import check_resolvable
from .metrics import Estimate, FloatArray, IntArray, PairScores, check_far, cmc, identity_ranks


class IdentificationResult(NamedTuple):
    """What closed-set identification measured."""

    rank1: Estimate
    cmc: FloatArray  # (people in the gallery,): share of probes found among the first r people
    rank: IntArray  # (P,): where each probe's own person came; 1 = named correctly

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(P,) True where the probe was named correctly: what `paired_difference` takes."""
        correct: NDArray[np.bool_] = self.rank == 1
        return correct


class VerificationCurve(NamedTuple):
    """The exact ROC, strictest threshold first."""

    far: FloatArray  # (V,)
    tar: FloatArray  # (V,)


class VerificationResult(NamedTuple):
    """What verification of all pairs measured."""

    auc: Estimate
    eer: Estimate
    tar: dict[float, Estimate]  # by FAR
    num_genuine: int
    num_impostor: int
    curve: VerificationCurve


class Identification:
    """Closed-set identification by cosine similarity: who of the gallery is this?

    A person's score is that of their best gallery picture; ties count against the probe.
    The interval resamples the probes' people (cluster bootstrap); the gallery stays as it is.
    """

    def __init__(self, *, confidence: float = 0.95, resamples: int = 200, seed: int = 0):
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(
        self, gallery: ArrayLike, gallery_label: ArrayLike, probe: ArrayLike, probe_label: ArrayLike
    ) -> IdentificationResult:
        """gallery (G, D), gallery_label (G,), probe (P, D), probe_label (P,) -> rank-1, CMC and each probe's rank.

        Embeddings need not be normalised.  Raises `ShapeError`, or `ProtocolError` for NaN, fewer than two people,
        or a probe whose person is not in the gallery.
        """
        known, new = unit_rows("gallery", gallery), unit_rows("probe", probe)
        same_width("gallery", known, "probe", new)
        return self.of_scores(new @ known.T, gallery_label, probe_label)

    def of_scores(self, score: FloatArray, gallery_label: ArrayLike, probe_label: ArrayLike) -> IdentificationResult:
        """score (P, G), larger = more alike, of every probe with every gallery picture; otherwise as a call."""
        known_label = labels_of("gallery", gallery_label, score.shape[1])
        new_label = labels_of("probe", probe_label, len(score))
        num_people = len(np.unique(known_label))
        if num_people < 2:
            raise ProtocolError("the gallery holds one person only; identification needs at least two to choose from")
        rank = identity_ranks(score, known_label, new_label)
        return IdentificationResult(self.bootstrap.mean(rank == 1, new_label), cmc(rank, num_people=num_people), rank)


class Verification:
    """Verification of all pairs by cosine similarity: do these two pictures show one person?

    The interval resamples people.  A pair of two persons counts the product of how often both were drawn.
    A genuine pair counts as often as its person was drawn (not the square: two draws of one person are
    two copies of that person's pairs, and a picture is never paired with a copy's).
    """

    def __init__(
        self,
        *,
        fars: tuple[float, ...] = (1e-2,),
        confidence: float = 0.95,
        resamples: int = 200,
        seed: int = 0,
    ):
        for far in fars:
            check_far(far)
        self.fars = tuple(fars)
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(
        self,
        left: ArrayLike,
        left_label: ArrayLike,
        right: ArrayLike,
        right_label: ArrayLike,
        *,
        excluded: ArrayLike | None = None,
    ) -> VerificationResult:
        """left (A, D), left_label (A,), right (B, D), right_label (B,) -> AUC, EER and TAR at each FAR.

        `excluded` (A, B) is True for pairs to leave out, such as two versions of one photograph.  Embeddings need
        not be normalised.  Raises `ShapeError`, or `ProtocolError` for NaN, one person only, no genuine or no
        impostor pair, or a FAR at which fewer than 10 impostors would pass.
        """
        a, b = unit_rows("left", left), unit_rows("right", right)
        same_width("left", a, "right", b)
        return self.of_scores(a @ b.T, left_label, right_label, excluded=excluded)

    def of_scores(
        self,
        score: FloatArray,
        left_label: ArrayLike,
        right_label: ArrayLike,
        *,
        excluded: ArrayLike | None = None,
    ) -> VerificationResult:
        """score (A, B), larger = more alike, of every picture on the left with every one on the right; as a call."""
        a_label, b_label = labels_of("left", left_label, len(score)), labels_of("right", right_label, score.shape[1])
        people, person = np.unique(np.concatenate([a_label, b_label]), return_inverse=True)
        if len(people) < 2:
            raise ProtocolError("all pictures show one person; verification needs at least two people")
        kept = _kept(excluded, (len(a_label), len(b_label)))
        same = a_label[:, None] == b_label[None, :]
        genuine_at, impostor_at = np.nonzero(same & kept), np.nonzero(~same & kept)
        num_genuine, num_impostor = len(genuine_at[0]), len(impostor_at[0])
        self._check_pairs(num_genuine, num_impostor)

        pairs = PairScores(score[genuine_at], score[impostor_at])
        owner = person[: len(a_label)][genuine_at[0][pairs.genuine_order]]
        first = person[: len(a_label)][impostor_at[0][pairs.impostor_order]]
        second = person[len(a_label) :][impostor_at[1][pairs.impostor_order]]

        def figures(drawn: FloatArray) -> tuple[float, ...] | None:
            genuine_weight, impostor_weight = drawn[owner], drawn[first] * drawn[second]
            if not genuine_weight.any() or not impostor_weight.any():
                return None
            weighed = pairs.weigh(genuine_weight, impostor_weight)
            return weighed.auc(), weighed.eer(), *(weighed.tar_at_far(far) for far in self.fars)

        area, error, *tars = self.bootstrap.estimates(figures, num_people=len(people))
        exact = pairs.weigh().roc()
        return VerificationResult(
            auc=area,
            eer=error,
            tar=dict(zip(self.fars, tars, strict=True)),
            num_genuine=num_genuine,
            num_impostor=num_impostor,
            curve=VerificationCurve(exact.far, exact.tar),
        )

    def _check_pairs(self, num_genuine: int, num_impostor: int) -> None:
        if not num_genuine:
            raise ProtocolError("no pair shows the same person twice; give some person a picture on either side")
        if not num_impostor:
            raise ProtocolError("no pair shows two different people; leave some such pairs in")
        check_resolvable(self.fars, num_impostor)


def _kept(excluded: ArrayLike | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    if excluded is None:
        return np.ones(shape, bool)
    array = np.asarray(excluded)
    if array.shape != shape or array.dtype != np.bool_:
        raise ShapeError(f"excluded is {array.shape} of {array.dtype}; it must be {shape} booleans, one a pair")
    return ~array
