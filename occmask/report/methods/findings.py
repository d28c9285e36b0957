"""What a comparison of methods found, in plain sentences computed from its figures.

A method is called better or worse only where the interval of its paired difference excludes 0; otherwise they tie.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..results import Results, area_of, condition_name, confidence_of
from .data import (
    BETTER,
    CONTROL,
    TIED,
    WORSE,
    Difference,
    areas_of,
    control_of,
    difference,
    differences_from,
    differences_of,
    family_of,
    headline_of,
    methods_in_order,
    missing_of,
    rank1_of,
    reference_of,
    same_in_every_seed,
    worn_of,
)
from .marks import points_text


def findings_of(results: Results) -> list[str]:
    """The findings, one statement an entry: what was compared, who is better, worse or tied, and what chance gives."""
    measured, missing = methods_in_order(results), missing_of(results)
    if not measured:
        return ["No method was measured."]
    told = [_opening(results, len(measured), len(missing))]
    reference, found = reference_of(results), differences_of(results)
    methods = [m for m in measured if family_of(results, m) != CONTROL]
    against = {m: differences_from(results, found, m, against=reference) for m in methods}
    compared = {m: differences for m, differences in against.items() if differences}
    if reference is None or not compared:
        return [*told, "No difference from a control was measured, so no method is called better or worse."]
    return [
        *told,
        _reference(results, found, reference),
        *_verdicts(results, compared, reference),
        _by_chance(results, [d for differences in compared.values() for d in differences]),
        *_own_controls(results, found, methods),
    ]


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def where(results: Results, conditions: Sequence[str]) -> str:
    """`clean faces, 30 to 50 % area, scarf and hand`."""
    shares = [c for c in areas_of(results) if area_of(c)]
    covered = [c for c in shares if c in conditions]
    worn = [c for c in worn_of(results) if c in conditions]
    parts = ["clean faces"] if "clean" in conditions else []
    if len(covered) > 2 and _follow(shares, covered):
        parts.append(f"{_percent(covered[0])} to {_percent(covered[-1])} % area")
    elif covered:
        parts.append(f"{listed([_percent(c) for c in covered])} % area")
    if len(worn) > 2 and len(worn) == len(worn_of(results)):
        parts.append(f"all {len(worn)} things worn or held")
    elif worn:
        parts.append(listed([condition_name(c) for c in worn]))
    return ", ".join(parts)


def _follow(every: Sequence[str], some: Sequence[str]) -> bool:
    first = every.index(some[0])
    return list(every[first : first + len(some)]) == list(some)


def _percent(condition: str) -> str:
    return f"{100 * (area_of(condition) or 0.0):.0f}"


def _opening(results: Results, measured: int, missing: int) -> str:
    settings = results.get("settings", {})
    seeds = int(settings.get("seeds") or 1)
    on = f" on {settings['data']}" if settings.get("data") else ""
    runs = f", {seeds} times each with other seeds" if seeds > 1 else ", once each"
    told = f"{measured} {'methods were' if measured > 1 else 'method was'} trained{on} under one budget{runs}."
    return told + (f" {missing} more could not be measured; the reasons are below." if missing else "")


def _reference(results: Results, found: Sequence[Difference], reference: str) -> str:
    condition = headline_of(results)
    figure = None if condition is None else rank1_of(results, reference, condition)
    summary = str(results["methods"][reference].get("summary") or "")
    told = f"The control is {reference}" + (f" ({summary})" if summary and summary != reference else "")
    if figure is not None and condition is not None:
        told += f", which names {100 * figure.value:.1f} % of the faces ({where(results, [condition])})"
    baseline = str(results["methods"][reference].get("control") or "baseline")
    differences = differences_from(results, found, reference, against=baseline)
    if not differences:
        return f"{told}."
    said = [
        f"{word} {baseline} {_at(results, some)}"
        for verdict, word in ((BETTER, "better than"), (WORSE, "worse than"))
        if (some := [d for d in differences if d.verdict == verdict])
    ]
    return f"{told}; it is itself {listed(said) or f'tied with {baseline} everywhere'}."


def _verdicts(results: Results, compared: dict[str, list[Difference]], reference: str) -> list[str]:
    told = []
    for verdict, rule in ((BETTER, "above"), (WORSE, "below")):
        each = {m: [d for d in differences if d.verdict == verdict] for m, differences in compared.items()}
        said = [f"{m} {_at(results, some)}" for m, some in each.items() if some]
        if said:
            told.append(
                f"{verdict.capitalize()} than {reference}, by a paired difference whose {confidence_of(results)} "
                f"interval lies {rule} 0: {'; '.join(said)}."
            )
        else:
            told.append(f"No method is {verdict} than {reference} anywhere by an interval that excludes 0.")
    tied = [m for m, differences in compared.items() if all(d.verdict == TIED for d in differences)]
    if tied:
        told.append(f"Tied with {reference} everywhere (every interval includes 0): {listed(tied)}.")
    if len(tied) < len(compared):
        told.append("Where a method is named neither better nor worse, it ties.")
    return told


def _at(results: Results, differences: Sequence[Difference]) -> str:
    """Where, and by how many points from the least to the most, in brackets."""
    points = sorted(abs(100 * d.figure.value) for d in differences)
    least, most = f"{points[0]:.1f}", f"{points[-1]:.1f}"
    by = least if least == most else f"{least} to {most}"
    return f"({where(results, [d.condition for d in differences])}; by {by} points)"


def _by_chance(results: Results, differences: Sequence[Difference]) -> str:
    confidence = float(results.get("settings", {}).get("confidence", 0.95))
    count, expected = len(differences), len(differences) * (1 - confidence)
    better, worse = (sum(d.verdict == v for d in differences) for v in (BETTER, WORSE))
    about = f"about {expected:.0f} of them" if expected >= 0.95 else "less than one of them"
    told = (
        f"{count} comparison{'s were' if count > 1 else ' was'} made for this, each with a {confidence_of(results)} "
        f"interval: if no method differed from the control, the choice of people alone would make {about} exclude 0. "
        f"{better + worse} did: {better} better, {worse} worse."
    )
    if better + worse and better + worse <= max(1.0, expected):
        told += " That is no more than chance gives."
    agree = [same_in_every_seed(results, d) for d in differences if d.verdict != TIED]
    if agree and None not in agree:
        told += f" {sum(map(bool, agree))} of these have the same sign with every seed."
    return (
        f"{told} The intervals do not cover the seeds, so chance gives more than that; and the comparisons share their "
        "faces, so what chance does to one it does to its neighbours."
    )


def _own_controls(results: Results, found: Sequence[Difference], methods: Sequence[str]) -> list[str]:
    told = []
    for method in methods:
        own = control_of(results, method)
        differences = differences_from(results, found, method, against=own)
        if own is None or not differences:
            continue
        said = [
            f"{word} {_at(results, some)}"
            for word in (BETTER, WORSE)
            if (some := [d for d in differences if d.verdict == word])
        ]
        verdict = listed(said) or "tied everywhere"
        count = f"{len(differences)} more comparison{'s' if len(differences) > 1 else ''}"
        told.append(f"Against its own control {own}, {method} is {verdict}; {count}.")
    return told


def difference_text(found: Sequence[Difference], method: str, *, against: str, condition: str) -> str:
    """`+3.1 [+1.0, +5.2]`, in percentage points; `-` when the two were not compared."""
    one = difference(found, method, against=against, condition=condition)
    if one is None:
        return "-"
    value, low, high = (points_text(x) for x in one.figure)
    return f"{value} [{low}, {high}]"
