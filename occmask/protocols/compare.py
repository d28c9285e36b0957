"""Two results of one protocol on the same data: what differs, with intervals that resample the same people for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import ProtocolError
from ..evaluation.bootstrap import Bootstrap, paired_difference
from ..evaluation.metrics import Estimate
from .result import Result

BETTER, WORSE, UNDECIDED, UNPAIRED = "A is better", "A is worse", "no difference shown", "no paired interval"
HIGHER, LOWER = "A is higher", "A is lower"  # of a figure that makes no model better or worse

_MAY_DIFFER = ("batch_size", "matcher")  # the first has no effect, and the second is what may be compared
_NEITHER_IS_BETTER = ("cosine",)  # each model spreads its scores over a range of its own
_LOWER_IS_BETTER = ("eer", "far", "frr", "fmr", "fnmr", "fpir", "fnir")
_MATCHER = "cosine"  # of results from before there were others
_SAMPLING = {"confidence": 0.95, "resamples": 200, "seed": 0}


class FigureDifference(NamedTuple):
    """One figure of both results."""

    group: str
    metric: str
    a: Estimate
    b: Estimate
    difference: Estimate | None  # A - B over the same people; None when the results do not hold what it takes
    verdict: str  # BETTER, WORSE, HIGHER, LOWER, UNDECIDED or UNPAIRED


@dataclass(frozen=True, kw_only=True)
class ResultComparison:
    """What `compare` found: one entry a figure that both results have, in the order of the first."""

    protocol: str
    data: Mapping[str, Any]
    a: Mapping[str, Any]  # the models, and under "matcher" what compared their faces
    b: Mapping[str, Any]
    confidence: float
    figures: tuple[FigureDifference, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        figures = [
            {key: value._asdict() if isinstance(value, Estimate) else value for key, value in figure._asdict().items()}
            for figure in self.figures
        ]
        return {**asdict(self), "figures": figures, "notes": list(self.notes)}


def compare(a: Result, b: Result) -> ResultComparison:
    """Paired differences A - B of every figure, each with a bootstrap interval over people.

    Where both results kept the draws of a figure, the interval is that of the draws' differences: the same settings on
    the same data drew the same people.  Where both kept its trials, they are drawn anew, once for both.  Other figures
    are only put side by side.  A is called better or worse when the interval does not hold 0,
    and higher or lower where neither is better.

    Two matchers may be compared, of one model or of two.  Raises `ProtocolError` when the protocols, their other
    settings or the data are not the same, saying what differs, and `OptionError` for settings of no bootstrap.
    """
    _check_alike(a, b)
    sampling: dict[str, Any] = {key: a.settings.get(key, usual) for key, usual in _SAMPLING.items()}
    Bootstrap(**sampling)  # refuses what cannot be, for anybody may have written the files
    same_draws = a.versions.get("numpy") == b.versions.get("numpy")  # another NumPy may draw otherwise
    figures = []
    for group, metric in _names(a):
        if metric not in b.figures.get(group, {}):
            continue
        first, second = a.figures[group][metric], b.figures[group][metric]
        difference = _difference(a, b, group, metric, sampling, same_draws=same_draws)
        figures.append(FigureDifference(group, metric, first, second, difference, _verdict(metric, difference)))
    if not figures:
        raise ProtocolError("the two results have no figure in common")
    return ResultComparison(
        protocol=a.protocol,
        data=dict(a.data),
        a={**a.model, "matcher": _matcher(a)},
        b={**b.model, "matcher": _matcher(b)},
        confidence=sampling["confidence"],
        figures=tuple(figures),
        notes=tuple(_notes(a, b, figures, sampling["confidence"], same_draws=same_draws)),
    )


def _check_alike(a: Result, b: Result) -> None:
    if a.protocol != b.protocol:
        raise ProtocolError(
            f"A is a result of {a.protocol!r} and B of {b.protocol!r}; only results of one protocol can be compared"
        )
    first, second = (
        {key: value for key, value in plain["settings"].items() if key not in _MAY_DIFFER}
        for plain in (a.to_dict(), b.to_dict())
    )
    unlike = [key for key in {**first, **second} if key not in first or key not in second or first[key] != second[key]]
    if unlike:
        told = ", ".join(
            f"{key} is {first.get(key, 'absent')} in A and {second.get(key, 'absent')} in B" for key in unlike
        )
        raise ProtocolError(f"the settings differ: {told}; run both with the same settings")
    prints = [result.data.get("fingerprint") for result in (a, b)]
    if not all(prints):
        raise ProtocolError("a result without a fingerprint of its data cannot be compared; evaluate again")
    if prints[0] != prints[1]:
        told = "".join(
            f"; {key} is {a.data.get(key)} in A and {b.data.get(key)} in B"
            for key in sorted({*a.data, *b.data} - {"fingerprint"})
            if a.data.get(key) != b.data.get(key)
        )
        raise ProtocolError(
            f"the data differ (fingerprints {str(prints[0])[:12]} and {str(prints[1])[:12]}{told}): other pictures, "
            "other pairs, or the same ones read at another size; evaluate both models on the same data"
        )


def _matcher(result: Result) -> str:
    """ "fused", or "fused with share=0.3"."""
    setting = result.settings.get("matcher", _MATCHER)
    if not isinstance(setting, Mapping):
        return str(setting)
    options = [f"{key}={value}" for key, value in setting.items() if key != "name"]
    return f"{setting.get('name', _MATCHER)} with {', '.join(options)}" if options else str(setting.get("name"))


def _difference(
    a: Result, b: Result, group: str, metric: str, sampling: Mapping[str, Any], *, same_draws: bool
) -> Estimate | None:
    draws = [result.draws.get(group, {}).get(metric) for result in (a, b)]
    if same_draws and draws[0] is not None and draws[1] is not None and len(draws[0]) == len(draws[1]):
        tail = (1 - sampling["confidence"]) / 2
        low, high = np.quantile(draws[0] - draws[1], [tail, 1 - tail])
        return Estimate(a.figures[group][metric].value - b.figures[group][metric].value, float(low), float(high))
    trials = [result.trials.get(group, {}).get(metric) for result in (a, b)]
    if trials[0] is None or trials[1] is None:
        return None
    if not np.array_equal(trials[0].person, trials[1].person):
        raise ProtocolError(f"the trials of {group} {metric} are not those of the same people in A and in B")
    return paired_difference(trials[0].value, trials[1].value, trials[0].person, **sampling)


def _verdict(metric: str, difference: Estimate | None) -> str:
    if difference is None:
        return UNPAIRED
    if difference.low <= 0 <= difference.high:
        return UNDECIDED
    if metric in _NEITHER_IS_BETTER:
        return HIGHER if difference.low > 0 else LOWER
    return BETTER if (difference.low > 0) != (metric.split("@")[0] in _LOWER_IS_BETTER) else WORSE


def _names(result: Result) -> list[tuple[str, str]]:
    return [(group, metric) for group, metrics in result.figures.items() for metric in metrics]


def _notes(a: Result, b: Result, figures: list[FigureDifference], confidence: float, *, same_draws: bool) -> list[str]:
    notes = []
    paired = [figure for figure in figures if figure.difference is not None]
    if len(paired) > 1:
        notes.append(
            f"{len(paired)} differences are shown with {100 * confidence:g} % intervals: of so many, about "
            f"{(1 - confidence) * len(paired):.2g} would seem to differ by chance between equal models"
        )
    if paired:
        notes.append("an interval says what other people of the same kind would give, not another training run")
    if any(figure.verdict in (HIGHER, LOWER) for figure in figures):
        notes.append(
            "a higher cosine is no merit: each model spreads its scores over a range of its own, and what counts is "
            "whether they tell people apart"
        )
    if len(paired) < len(figures):
        notes.append(
            "figures without a paired interval are shown with their own; two overlapping intervals do not show that "
            "there is no difference"
        )
    if not same_draws:
        notes.append("A and B were made with different versions of NumPy, so their draws of people were not paired")
    for name, own, other in (("A", a, b), ("B", b, a)):
        known = {metric for _, metric in _names(other)}
        alone = [
            f"{group} {metric}" if metric in known or group not in other.figures else metric
            for group, metric in _names(own)
            if metric not in other.figures.get(group, {})
        ]
        if alone:
            notes.append(f"only {name} has {', '.join(dict.fromkeys(alone))}")
    model = a.model.get("fingerprint")
    if model is not None and model == b.model.get("fingerprint"):
        notes.append("A and B are results of one model")
    first, second = _matcher(a), _matcher(b)
    if first != second:
        notes.append(f"A compares faces by {first} and B by {second}")
    return notes
