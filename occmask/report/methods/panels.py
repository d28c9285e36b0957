"""A small chart a method: its paired difference from the control under every condition."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from ..listings import text
from ..results import Results, area_of, condition_name, confidence_of
from ..svg import label_at, svg
from .data import (
    BETTER,
    CONTROL,
    TIED,
    Difference,
    differences_from,
    differences_of,
    family_of,
    family_style,
    methods_in_order,
    reference_of,
)
from .marks import points_text, ticks_between

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 176.0, 132.0, 28.0, 8.0, 20.0
_AREAS_END, _WORN = 112.0, 126.0  # where the line of areas ends, and where the first thing worn is


class _Scale(NamedTuple):
    """Percentage points to heights, the same in every panel."""

    low: float
    high: float

    def at(self, points: float) -> float:
        return _TOP + (self.high - points) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


def panels(results: Results) -> str:
    """The panels of all methods but the controls; empty when no method was compared with a control."""
    reference, found = reference_of(results), differences_of(results)
    compared = {
        method: differences
        for method in methods_in_order(results)
        if family_of(results, method) != CONTROL
        and (differences := differences_from(results, found, method, against=reference))
    }
    if not compared:
        return ""
    figures = [d.figure for differences in compared.values() for d in differences]
    low, high = min(-1.0, *(100 * f.low for f in figures)), max(1.0, *(100 * f.high for f in figures))
    scale = _Scale(low, high)
    small = "".join(
        _panel(method, family_style(results, family_of(results, method)), differences, scale, str(reference))
        for method, differences in compared.items()
    )
    note = (
        f"Percentage points of rank-1 above (or below) {reference}, the line at 0, on the same faces, with "
        f"{confidence_of(results)} intervals: first by covered area, then each thing worn or held. A triangle marks an "
        "interval that excludes 0: up for better, down for worse."
    )
    return f'<p class="note">{text(note)}</p>\n<div class="each">\n{small}</div>\n'


def _panel(method: str, style: str, differences: Sequence[Difference], scale: _Scale, reference: str) -> str:
    areas = [d for d in differences if area_of(d.condition) is not None]
    worn = [d for d in differences if area_of(d.condition) is None]
    parts = []
    for tick in ticks_between(scale.low, scale.high, most=4):
        y = scale.at(tick)
        kind = "zero" if tick == 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(label_at(_LEFT - 4, y + 4, f"{tick:+g}" if tick else "0", anchor="end"))
    across = _places([area_of(d.condition) or 0.0 for d in areas])
    if areas:
        parts.append(_line(across, areas, scale, style))
        parts.append(label_at(_LEFT, _HEIGHT - 4, _area(areas[0])))
        if len(areas) > 1:
            parts.append(label_at(_AREAS_END, _HEIGHT - 4, _area(areas[-1]), anchor="end"))
    step = (_WIDTH - _WORN - 6) / max(1, len(worn) - 1)
    beside = [_WORN + index * min(step, 11.0) for index in range(len(worn))]
    for x, one in zip(beside, worn, strict=True):
        low, high = (scale.at(100 * end) for end in (one.figure.low, one.figure.high))
        parts.append(f'<path class="reach {style}" d="M{x:.1f} {low:.1f}V{high:.1f}"/>')
    if worn:
        parts.append(label_at((_WORN + beside[-1]) / 2, _HEIGHT - 4, "worn", anchor="middle"))
    for x, one in zip([*across, *beside], [*areas, *worn], strict=True):
        parts.append(_mark(x, scale.at(100 * one.figure.value), one, style))
    told = ", ".join(
        f"{condition_name(d.condition)} {points_text(d.figure.value)} ({d.verdict})" for d in [*areas, *worn]
    )
    drawn = svg(_WIDTH, _HEIGHT, "".join(parts), f"{method} against {reference}, percentage points: {told}.")
    return f'<figure class="plot small"><h4>{text(method)}</h4>{drawn}</figure>\n'


def _places(areas: Sequence[float]) -> list[float]:
    low, high = (min(areas), max(areas)) if areas else (0.0, 0.0)
    left, right = _LEFT + 7, _AREAS_END - 4
    return [left + (a - low) / (high - low) * (right - left) if high > low else (left + right) / 2 for a in areas]


def _line(across: Sequence[float], areas: Sequence[Difference], scale: _Scale, style: str) -> str:
    def path(heights: Sequence[float]) -> str:
        return "L".join(f"{x:.1f} {scale.at(100 * y):.1f}" for x, y in zip(across, heights, strict=True))

    upper, middle = path([d.figure.high for d in areas]), path([d.figure.value for d in areas])
    back = "L".join(reversed(path([d.figure.low for d in areas]).split("L")))
    return f'<path class="area {style}" d="M{upper}L{back}Z"/><path class="line {style}" d="M{middle}"/>'


def _mark(x: float, y: float, one: Difference, style: str) -> str:
    told = escape(f"{condition_name(one.condition)} {points_text(one.figure.value)}")
    if one.verdict == TIED:
        shape = f'<circle class="dot hollow {style}" cx="{x:.1f}" cy="{y:.1f}" r="2.8">'
        return f"{shape}<title>{told}</title></circle>"
    turn = 1 if one.verdict == BETTER else -1
    shape = f'<path class="verdict {one.verdict}" d="M{x - 5.5:.1f} {y + 4.5 * turn:.1f}h11l-5.5 {-9.5 * turn}Z">'
    return f"{shape}<title>{told}</title></path>"


def _area(one: Difference) -> str:
    area = area_of(one.condition) or 0.0
    return f"{100 * area:.0f} %" if area else "clean"
