"""Open-set identification: is this anybody we know, and who?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ProtocolError
from .bootstrap import Bootstrap
from .checks import labels_of
from .curves import thin_roc
from .far import check_resolvable
from .metrics import Estimate, FloatArray, PairScores, RocCurve, check_far
from .outcomes import Curve
from .ranking import ProbeRanks


class OpenSet(NamedTuple):
    """What open-set identification measured, by FAR: a probe whose best score exceeds a threshold raises an alarm."""

    dir: dict[float, Estimate]  # share of the known people's probes that raise an alarm and name the right person
    threshold: dict[float, float]
    curve: Curve  # FAR and DIR at thresholds from the strictest to the loosest
    draws: dict[float, FloatArray]  # (resamples,) the DIR of every bootstrap draw


def check_strangers(num_strangers: int, fars: Sequence[float]) -> None:
    """`ProtocolError` when so many probes of unknown people do not resolve a FAR: fewer than 10 false alarms."""
    for far in fars:
        check_far(far)
        if not num_strangers:
            raise ProtocolError(
                "every probe shows a person of the gallery; a false alarm rate needs probes of people it does not have"
            )
    check_resolvable(fars, num_strangers, of="probes of unknown people")


def open_set(ranks: ProbeRanks, probe_label: ArrayLike, *, fars: Sequence[float], bootstrap: Bootstrap) -> OpenSet:
    """Detection and identification rate at false alarm rates, with intervals over the probes' people.

    ranks of P probes, probe_label (P,).  Of the probes whose person the gallery does not have at most floor(FAR x their
    number) may raise an alarm; the threshold is the highest of their best scores that must not, and a known person's
    probe counts when it was named rightly (rank 1) by a score strictly above it.  Probes tied with the threshold raise
    no alarm.  Raises `ProtocolError` for a FAR that gives fewer than 10 false alarms, or no probe of a known person.
    Source: Phillips, Grother and Micheals, "Evaluation Methods in Face Recognition" (Handbook of Face Recognition).
    """
    known = ranks.rank > 0
    check_strangers(int((~known).sum()), fars)
    if not known.any():
        raise ProtocolError("no probe shows a person of the gallery; there is nobody to detect")
    people, person = np.unique(labels_of("probe", probe_label, len(known)), return_inverse=True)
    # A probe named wrongly is never right, whatever the threshold: it scores below everything.
    pairs = PairScores(np.where(ranks.rank == 1, ranks.own, -np.inf)[known], ranks.other[~known])
    known_person = person[known][pairs.genuine_order]
    stranger = person[~known][pairs.impostor_order]

    def figures(drawn: FloatArray) -> tuple[float, ...] | None:
        if not drawn[known_person].any() or not drawn[stranger].any():
            return None
        weighed = pairs.weigh(drawn[known_person], drawn[stranger])
        return tuple(weighed.tar_at_far(far) for far in fars)

    draws = bootstrap.draw(figures, num_people=len(people))
    descending = np.sort(ranks.other[~known])[::-1]
    accepted = [math.floor(far * len(descending) * (1 + 1e-12)) for far in fars]
    roc = pairs.weigh().roc()
    real = roc.threshold > -np.inf  # beyond it the wrongly named would be "accepted"
    return OpenSet(
        dir=dict(zip(fars, bootstrap.intervals(draws), strict=True)),
        threshold={far: float(descending[a]) for far, a in zip(fars, accepted, strict=True)},
        curve=thin_roc(RocCurve(*(column[real] for column in roc))),
        draws=dict(zip(fars, draws.drawn.T, strict=True)),
    )
