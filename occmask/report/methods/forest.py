"""Differences from the control as points with whiskers: one chart a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..listings import text
from ..results import Results, condition_name, confidence_of
from ..svg import label_at, svg
from .data import (
    CONTROL,
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
from .marks import points_text, shortened, ticks_between

_WIDTH, _ROW, _NAMES, _VALUES = 360.0, 22.0, 118.0, 36.0
_LETTERS = 19  # of a row's name


class _Row(NamedTuple):
    name: str
    kind: str  # of its name in the style sheet
    style: str  # of its family
    one: Difference
    scales: bool  # whether the axis is chosen to hold it


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
        f"faces, with {confidence_of(results)} intervals. Filled: the interval excludes 0. A row that begins with "
        "'vs' compares the method above it with its own control. Arrows: further out than the axis."
    )
    shown = "".join(charts[c] for c in dict.fromkeys(leading))
    folded = (
        f'<details><summary>The other conditions</summary>\n<div class="plots">\n'
        f"{''.join(charts[c] for c in others)}</div></details>\n"
        if others
        else ""
    )
    return f'<p class="note">{text(note)}</p>\n<div class="plots">\n{shown}</div>\n{folded}' if charts else ""


def _rows(results: Results, found: Sequence[Difference], condition: str, reference: str) -> list[_Row]:
    rows = []
    for method in methods_in_order(results):
        family = family_of(results, method)
        for against in (reference, control_of(results, method)):
            one = (
                difference(found, method, against=against, condition=condition)
                if against not in (None, method)
                else None
            )
            if one is None:
                continue
            name, kind = (method, "name") if against == reference else (f"vs {against}", "name other")
            scales = against == reference and family != CONTROL
            rows.append(_Row(shortened(name, _LETTERS), kind, family_style(results, family), one, scales))
    return rows


def _forest(results: Results, found: Sequence[Difference], condition: str, reference: str) -> str:
    rows = _rows(results, found, condition, reference)
    if not rows:
        return ""
    # Controls are often far away; an axis that held them would press the methods together.
    held = [row.one.figure for row in rows if row.scales] or [row.one.figure for row in rows]
    low, high = min(0.0, *(100 * f.low for f in held)), max(0.0, *(100 * f.high for f in held))
    low, high = (low - 0.5, high + 0.5) if high - low < 1 else (low, high)
    left, right = _NAMES + 12, _WIDTH - _VALUES - 14

    def at(points: float) -> float:
        return left + (min(max(points, low), high) - low) / (high - low) * (right - left)

    ground = len(rows) * _ROW + 4
    parts = [
        f'<line class="rule" x1="{at(t):.1f}" x2="{at(t):.1f}" y1="0" y2="{ground:g}"/>'
        + label_at(at(t), ground + 15, f"{t:+g}" if t else "0", anchor="middle")
        for t in ticks_between(low, high, most=6)
    ]
    parts.append(f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="0" y2="{ground:g}"/>')
    for index, row in enumerate(rows):
        y = index * _ROW + _ROW / 2 + 2
        value, lower, upper = (100 * x for x in row.one.figure)
        parts.append(label_at(_NAMES, y + 4, row.name, anchor="end", kind=row.kind))
        parts.append(f'<path class="reach {row.style}" d="M{at(lower):.1f} {y:g}H{at(upper):.1f}"/>')
        for outside, x, turn in ((lower < low, left, -1), (upper > high, right, 1)):
            if outside:
                parts.append(f'<path class="beyond {row.style}" d="M{x:g} {y - 5:g}v10l{7 * turn} -5Z"/>')
        if low <= value <= high:
            kind = "dot hollow" if row.one.verdict == TIED else "dot"
            parts.append(f'<circle class="{kind} {row.style}" cx="{at(value):.1f}" cy="{y:g}" r="4.6"/>')
        parts.append(label_at(_WIDTH, y + 4, points_text(row.one.figure.value), anchor="end", kind="value"))
    told = ", ".join(
        f"{row.one.method} against {row.one.against} {points_text(row.one.figure.value)} ({row.one.verdict})"
        for row in rows
    )
    alt = f"Differences in percentage points, {condition_name(condition)}: {told}."
    drawn = svg(_WIDTH, ground + 20, "".join(parts), alt)
    return f'<figure class="plot forest"><h3>{text(_heading(condition))}</h3>{drawn}</figure>\n'


def _heading(condition: str) -> str:
    return "Clean faces" if condition == "clean" else condition_name(condition).capitalize()
