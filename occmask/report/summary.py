"""What the results say in plain sentences, computed from the figures: beats, ties or loses to."""

from __future__ import annotations

from typing import NamedTuple

from ..evaluation.metrics import Estimate
from .results import Results, area_of, condition_name, conditions_with, confidence_of, estimate, methods_of

# What is compared with what: the method, and the training it has to be better than to matter.
_COMPARISONS = (
    ("from", ("baseline", "augmented")),
    ("augmented_fused", ("augmented", "augmented_parts")),
    ("retrofit", ("frozen",)),
)

_PHRASES = {
    "baseline": "training on clean faces alone",
    "augmented": "the same occluded data without the mask branch",
    "augmented_parts": "the control's embeddings and their parts, all counted alike",
    "augmented_fused": "the control's embeddings and their parts, counted as they are visible,",
    "from": "FROM",
    "retrofit": "the occlusion head on a frozen trunk",
    "frozen": "its control without the head",
}


class Verdict(NamedTuple):
    """How one method fares against another, and what that is read from."""

    word: str  # "beats", "ties" or "loses to"
    reason: str


def verdict(
    results: Results,
    method: str,
    *,
    against: str,
    condition: str,
    section: str = "identification",
    metric: str = "rank1",
) -> Verdict | None:
    """Compare two methods on one condition; None when either was not measured.

    Read from the paired difference in `results["comparisons"]` when it is there (does its interval hold 0?),
    otherwise from whether the two intervals overlap, which is the more cautious reading.
    """
    a = estimate(results, method, section, condition, metric)
    b = estimate(results, against, section, condition, metric)
    if a is None or b is None:
        return None
    sure = confidence_of(results)
    difference = _paired(results, method, against, condition, metric)
    if difference is not None:
        paired = (
            f"paired difference {100 * difference.low:+.1f} to {100 * difference.high:+.1f} points, {sure} interval"
        )
        if difference.low > 0 or difference.high < 0:
            return Verdict("beats" if difference.low > 0 else "loses to", paired)
        return Verdict("ties", f"{paired}, which includes zero")
    if a.low > b.high or a.high < b.low:
        return Verdict("beats" if a.low > b.high else "loses to", f"the two {sure} intervals do not overlap")
    return Verdict("ties", f"the two {sure} intervals overlap")


def headline_condition(results: Results) -> str | None:
    """The condition the summary speaks of: 40 % area, else the largest area, else the last one measured."""
    conditions = conditions_with(results, "identification", "rank1", methods_of(results))
    areas = [c for c in conditions if area_of(c)]
    if "area_40" in areas:
        return "area_40"
    return max(areas, key=lambda c: area_of(c) or 0.0) if areas else (conditions[-1] if conditions else None)


def summarise(results: Results) -> list[str]:
    """The results in a few sentences, the most important first; nothing is said of what was not measured."""
    condition = headline_condition(results)
    if condition is None:
        return ["No method was measured."]
    sentences = []
    for method, others in _COMPARISONS:
        sentences += _comparison(results, method, others, condition)
    sentences = sentences or _figures_only(results, condition)
    for method in ("from", "retrofit"):
        answer = _answer(results, method, condition)
        if answer:
            return [*sentences, answer]
    return sentences


def _comparison(results: Results, method: str, others: tuple[str, ...], condition: str) -> list[str]:
    verdicts = [(o, v) for o in others if (v := verdict(results, method, against=o, condition=condition))]
    if not verdicts:
        return []
    measured = ", ".join(f"{_PHRASES[o]} {_rank1(results, o, condition)}" for o, _ in verdicts)
    figures = (
        f"{_where(condition)} {_PHRASES[method]} names {_rank1(results, method, condition)} of the faces, {measured}."
    )
    told = [f"{v.word} {_PHRASES[o]} ({v.reason})" for o, v in verdicts]
    return [figures, f"{_capital(_PHRASES[method])} {' and '.join(told)}."]


def _figures_only(results: Results, condition: str) -> list[str]:
    measured = [m for m in methods_of(results) if estimate(results, m, "identification", condition, "rank1")]
    named = [f"{_PHRASES.get(m, m)} names {_rank1(results, m, condition)} of the faces" for m in measured]
    return [f"{_where(condition)} {', '.join(named)}."]


def _answer(results: Results, method: str, condition: str) -> str | None:
    iou = estimate(results, method, "occlusion", condition, "iou")
    clean = estimate(results, method, "occlusion", "clean", "iou")
    if iou is None:
        return None
    told = (
        f"Asked what is covered, {_PHRASES[method]} answers with a box whose mean IoU with the true one is "
        f"{iou.value:.2f} at {condition_name(condition)}"
    )
    fixed = estimate(results, "fixed_box", "occlusion", condition, "iou")
    if fixed:
        told += f" (the best box that never looks at the picture: {fixed.value:.2f})"
    return f"{told}, and calls {100 * clean.value:.1f} % of the clean faces clean." if clean else f"{told}."


def _paired(results: Results, method: str, against: str, condition: str, metric: str) -> Estimate | None:
    for entry in results.get("comparisons", []):
        if entry.get("condition") != condition or entry.get("metric", "rank1") != metric:
            continue
        value, low, high = (float(entry["difference"][key]) for key in ("value", "low", "high"))
        if (entry["method"], entry["against"]) == (method, against):
            return Estimate(value, low, high)
        if (entry["method"], entry["against"]) == (against, method):
            return Estimate(-value, -high, -low)
    return None


def _rank1(results: Results, method: str, condition: str) -> str:
    figure = estimate(results, method, "identification", condition, "rank1")
    return f"{100 * figure.value:.1f} %" if figure else "an unknown share"


def _where(condition: str) -> str:
    if area_of(condition):
        return f"At {condition_name(condition).replace(' area', '')} covered area"
    return "On clean faces" if condition == "clean" else f"On faces with a {condition_name(condition)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
