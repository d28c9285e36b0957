"""Differences from the control as points with whiskers: one chart a condition."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .listings import text
from .methods_data import (
    TIED,
    Difference,
    conditions_of,
    control_of,
    difference,
    differences_of,
    family_of,
    family_style,
    headline_of,
    methods_in_order,
    reference_of,
)
from .methods_marks import shortened
from .results import Results, condition_name, confidence_of
from .svg import label_at, svg

_WIDTH, _ROW, _NAMES, _VALUES = 360.0, 22.0, 118.0, 36.0
_LETTERS = 19  # of a row's name


def forests(results: Results) -> str:
    """The differences at the headline condition and on clean faces, the others folded; empty without differences."""
    found, reference = differences_of(results), reference_of(results)
    if not found or reference is None:
        return ""
    known = conditions_of(results)
    conditions = [*known, *dict.fromkeys(d.condition for d in found if d.condition not in known)]
    charts = {c: chart for c in conditions if (chart := _forest(results, found, c, reference))}
    leading = [c for c in (headline_of(results), *(c for c in conditions if c not in known), "clean") if c in charts]
    others = [c for c in charts if c not in leading]
    note = (
        f"Percentage points of rank-1 that a method names more (right) or less (left) than {reference}, on the same "
        f"faces, with {confidence_of(results)} intervals. Filled: the interval excludes 0. A name with another control "
        "behind it is compared with that one."
    )
    shown = "".join(charts[c] for c in dict.fromkeys(leading))
    folded = (
        f'<details><summary>The other conditions</summary>\n<div class="plots">\n'
        f"{''.join(charts[c] for c in others)}</div></details>\n"
        if others
        else ""
    )
    return f'<p class="note">{text(note)}</p>\n<div class="plots">\n{shown}</div>\n{folded}'


def _forest(results: Results, found: Sequence[Difference], condition: str, reference: str) -> str:
    rows: list[tuple[str, str, Difference]] = []  # its name, its style, and the difference
    for method in methods_in_order(results):
        style = family_style(results, family_of(results, method))
        for against in (reference, control_of(results, method)):
            if against is None or against == method:
                continue
            one = difference(found, method, against=against, condition=condition)
            if one is not None:
                rows.append((method if against == reference else f"{method} - {against}", style, one))
    if not rows:
        return ""
    low = min(0.0, *(100 * d.figure.low for _, _, d in rows))
    high = max(0.0, *(100 * d.figure.high for _, _, d in rows))
    low, high = (low - 0.5, high + 0.5) if high - low < 1 else (low, high)

    def at(points: float) -> float:
        return _NAMES + 8 + (points - low) / (high - low) * (_WIDTH - _NAMES - _VALUES - 22)

    ground = len(rows) * _ROW + 4
    parts = [
        f'<line class="rule" x1="{at(t):.1f}" x2="{at(t):.1f}" y1="0" y2="{ground}"/>'
        + label_at(at(t), ground + 15, f"{t:+g}" if t else "0", anchor="middle")
        for t in _ticks(low, high)
    ]
    parts.append(f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="0" y2="{ground}"/>')
    for index, (name, style, one) in enumerate(rows):
        y = index * _ROW + _ROW / 2 + 2
        value, lower, upper = (100 * x for x in one.figure)
        kind = "dot hollow" if one.verdict == TIED else "dot"
        parts.append(label_at(_NAMES, y + 4, shortened(name, _LETTERS), anchor="end", kind="name"))
        parts.append(f'<path class="reach {style}" d="M{at(lower):.1f} {y}H{at(upper):.1f}"/>')
        parts.append(f'<circle class="{kind} {style}" cx="{at(value):.1f}" cy="{y}" r="4.6"/>')
        parts.append(label_at(_WIDTH, y + 4, f"{value:+.1f}", anchor="end", kind="value"))
    told = ", ".join(f"{name} {100 * one.figure.value:+.1f} ({one.verdict})" for name, _, one in rows)
    alt = f"Differences in percentage points from {reference}, {condition_name(condition)}: {told}."
    drawn = svg(_WIDTH, ground + 20, "".join(parts), alt)
    return f'<figure class="plot forest"><h3>{text(_heading(condition))}</h3>{drawn}</figure>\n'


def _heading(condition: str) -> str:
    return "Clean faces" if condition == "clean" else condition_name(condition).capitalize()


def _ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most six of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / 6))
    step = next(m * power for m in (1, 2, 5, 10) if (high - low) / (m * power) <= 6)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
