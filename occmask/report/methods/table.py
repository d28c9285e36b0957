"""A comparison of methods as plain text that fits 100 columns of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ..results import Results, condition_name, confidence_of
from .data import (
    BETTER,
    WORSE,
    Difference,
    areas_of,
    differences_of,
    figure_of,
    headline_of,
    mean_worn,
    methods_in_order,
    millions,
    missing_of,
    rank1_of,
    reference_of,
    short_condition,
    verdict_at,
    worn_of,
)
from .marks import shortened, three_digits

WIDTH = 100
_SHOWN = ("clean", "area_20", "area_40", "area_50")
_FIGURE, _INTERVAL, _NUMBER = 8, 16, 10  # columns of " 88.5+ ", "[84.0, 93.0]" and "83.4 k", with margins
SIGNS = {BETTER: "+", WORSE: "-"}


def format_methods_table(results: Results) -> str:
    """Rank-1 and cost of every method as ASCII text of at most 100 columns, a row a method.

    Rank-1 on clean faces and at 20, 40 and 50 % area, the mean over what is worn, parameters in use, milliseconds a
    face.  `+` and `-` follow a figure whose paired difference from the control excludes 0.
    """
    methods, reference = methods_in_order(results), reference_of(results)
    missing = [f"not measured: {method}: {reason}" for method, reason in missing_of(results)]
    if not methods:
        return _ascii("\n".join(["no method was measured", *_wrapped(missing)]))
    found, headline = differences_of(results), headline_of(results)
    shown = [c for c in _SHOWN if c in areas_of(results)]
    columns = [_figures(results, found, methods, c, interval=c == headline) for c in shown]
    if worn_of(results):
        worn = [mean_worn(results, m) for m in methods]
        columns.append(["worn", *("-" if w is None else f"{100 * w:.1f} " for w in worn)])
    columns.append(["params", *(millions(results["methods"][m].get("parameters")) for m in methods)])
    times = [figure_of(results["methods"][m].get("milliseconds")) for m in methods]
    columns.append(["ms/face", *("-" if t is None else three_digits(t)[0] for t in times)])
    widths = [_INTERVAL + _FIGURE if "[" in "".join(c) else _NUMBER if c[0] == "params" else _FIGURE for c in columns]
    label = min(WIDTH - sum(widths), 2 + max(len(m) for m in ["method", *methods]))
    names = ["method", *(shortened(" ".join(m.split()), label - 1) for m in methods)]
    lines = [
        (f"{name:<{label}}" + "".join(f"{c[i]:>{w}}" for c, w in zip(columns, widths, strict=True))).rstrip()
        for i, name in enumerate(names)
    ]
    lines.insert(1, "-" * (label + sum(widths)))
    foot = [f"Rank-1, % of the faces; []: {confidence_of(results)} interval; worn: mean of {_worn(results)}."]
    if reference is not None:
        foot.append(f"+ better, - worse than {reference}: the interval of the paired difference excludes 0.")
    return _ascii("\n".join([*lines, "", *_wrapped([*foot, *missing])]))


def _figures(
    results: Results, found: Sequence[Difference], methods: Sequence[str], condition: str, *, interval: bool
) -> list[str]:
    reference, cells = reference_of(results), [f"{short_condition(condition)} "]
    for method in methods:
        figure = rank1_of(results, method, condition)
        verdict = verdict_at(results, found, method, condition, against=reference)
        sign = SIGNS.get(verdict or "", " ")
        if figure is None:
            cells.append("- ")
        elif interval:
            cells.append(f"{100 * figure.value:.1f}{sign} [{100 * figure.low:5.1f}, {100 * figure.high:5.1f}]")
        else:
            cells.append(f"{100 * figure.value:.1f}{sign}")
    return cells


def _worn(results: Results) -> str:
    return ", ".join(condition_name(c) for c in worn_of(results)) or "nothing"


def _wrapped(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(" ".join(line.split()), WIDTH)]


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
