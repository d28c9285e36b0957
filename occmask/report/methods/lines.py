"""Rank-1 against covered area: one chart with the lines of all methods, each named at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...evaluation.metrics import Estimate
from ..curves import spread
from ..listings import text
from ..results import Results, area_of, confidence_of
from ..svg import floor_of, label_at, percent_ticks, svg
from .data import (
    CONTROL,
    areas_of,
    families_of,
    family_of,
    family_style,
    methods_in_order,
    rank1_of,
    reference_of,
)
from .marks import marker, shortened

_LETTER = 6.1  # mean width of a letter of 11 units
_LONGEST = 17  # letters of a name at a line's end


class _Line(NamedTuple):
    method: str
    style: str  # of its family
    shape: int  # of its markers, within the family
    areas: tuple[float, ...]
    figures: tuple[Estimate, ...]


class _Frame(NamedTuple):
    """Where areas and shares lie in a picture."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    areas: tuple[float, float]
    floor: float

    def at(self, area: float, share: float) -> tuple[float, float]:
        low, high = self.areas
        across = (area - low) / (high - low) if high > low else 0.5
        up = (share - self.floor) / (1 - self.floor)
        return (
            self.left + across * (self.width - self.left - self.right),
            self.height - self.bottom - up * (self.height - self.top - self.bottom),
        )

    def path(self, areas: Sequence[float], shares: Sequence[float]) -> str:
        points = [self.at(a, s) for a, s in zip(areas, shares, strict=True)]
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)

    def band(self, line: _Line) -> str:
        upper = [self.at(a, f.high) for a, f in zip(line.areas, line.figures, strict=True)]
        lower = [self.at(a, f.low) for a, f in zip(line.areas, line.figures, strict=True)]
        points = "L".join(f"{x:.1f} {y:.1f}" for x, y in [*upper, *reversed(lower)])
        return f'<path class="area {line.style}" d="M{points}Z"/>'


def lines_chart(results: Results) -> str:
    """Every method's line, named at its end, the control with its interval; empty with fewer than two areas.

    Drawn once for a desk and once for a phone; the style sheet shows one of them.
    """
    lines = _lines(results)
    if not lines:
        return ""
    reference = reference_of(results)
    drawn = _all_lines(lines, reference, wide=True) + _all_lines(lines, reference, wide=False)
    band = f" The band is its {confidence_of(results)} interval." if reference else ""
    note = (
        f"Rank-1: the share of faces named correctly. Thick: the control{f', {reference}' if reference else ''}.{band} "
        "The other intervals are in the tables; lines this close are seldom told apart by them."
    )
    return (
        f'<figure class="plot lines">{drawn}{family_keys(results)}'
        f'<figcaption class="note">{text(note)}</figcaption></figure>\n'
    )


def family_keys(results: Results) -> str:
    """The legend: a line of each family's colour and dashes."""
    families = [*families_of(results)]
    if any(family_of(results, m) == CONTROL for m in results["methods"]):
        families.append(CONTROL)
    keys = "".join(
        f'<li><svg class="key" viewBox="0 0 34 10" aria-hidden="true"><path class="line {family_style(results, f)}" '
        f'd="M1 5H33"/></svg>{text(f)}</li>'
        for f in families
    )
    return f'<ul class="keys">{keys}</ul>'


def _lines(results: Results) -> list[_Line]:
    lines: list[_Line] = []
    for method in methods_in_order(results):
        points = [(area_of(c) or 0.0, f) for c in areas_of(results) if (f := rank1_of(results, method, c))]
        style = family_style(results, family_of(results, method))
        if len(points) > 1:
            shape = sum(line.style == style for line in lines)
            lines.append(_Line(method, style, shape, tuple(a for a, _ in points), tuple(f for _, f in points)))
    return lines


def _all_lines(lines: Sequence[_Line], reference: str | None, *, wide: bool) -> str:
    names = [f"{shortened(line.method, _LONGEST)} {100 * line.figures[-1].value:.0f}" for line in lines]
    width, height = (860.0, 440.0) if wide else (360.0, 400.0)
    right = 54 + _LETTER * max(len(name) for name in names)
    areas = sorted({a for line in lines for a in line.areas})
    floor = floor_of([f.value for line in lines for f in line.figures])
    frame = _Frame(width, height, 36, right, 26, 40, (areas[0], areas[-1]), floor)
    parts = [_axes(frame, areas)]
    ordered = sorted(lines, key=lambda line: line.method == reference)  # the control last, on top of the others
    for line in ordered:
        emphasised = line.method == reference
        if emphasised:
            parts.append(frame.band(line))
        shares = [f.value for f in line.figures]
        kind = "line strong" if emphasised else "line"
        parts.append(f'<path class="{kind} {line.style}" d="{frame.path(line.areas, shares)}"/>')
    for line in ordered:
        for area, figure in zip(line.areas, line.figures, strict=True):
            parts.append(marker(*frame.at(area, figure.value), line.shape, line.style))
    ends = [frame.at(line.areas[-1], line.figures[-1].value) for line in lines]
    heights = spread([y for _, y in ends], gap=15, low=frame.top, high=height - frame.bottom + 8)
    x = width - right + 30
    for line, name, (end, level), y in zip(lines, names, ends, heights, strict=True):
        kind = "name strong" if line.method == reference else "name"
        parts.append(f'<path class="lead-line {line.style}" d="M{end + 6:.1f} {level:.1f}L{x - 7:.1f} {y:.1f}"/>')
        parts.append(marker(x, y, line.shape, line.style))
        parts.append(label_at(x + 8, y + 4, name, kind=kind))
    told = ", ".join(
        f"{line.method} from {100 * line.figures[0].value:.1f} to {100 * line.figures[-1].value:.1f} %"
        for line in lines
    )
    alt = f"Lines of rank-1 against covered area, from {_area(areas[0])} to {_area(areas[-1])}: {told}."
    return f'<div class="{"desk" if wide else "phone"}">{svg(width, height, "".join(parts), alt)}</div>'


def _axes(frame: _Frame, areas: Sequence[float]) -> str:
    low, high = frame.areas
    ground = frame.height - frame.bottom
    parts = []
    for share, label in percent_ticks(frame.floor):
        y = frame.at(low, share)[1]
        end = frame.width - frame.right + 6
        parts.append(f'<line class="rule" x1="{frame.left - 6}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(label_at(frame.left - 10, y + 4, label, anchor="end"))
    for area in areas:
        parts.append(label_at(frame.at(area, frame.floor)[0], ground + 17, _area(area), anchor="middle"))
    parts.append(label_at(0, 12, "rank-1, %", kind="axis"))
    middle = (frame.at(low, 0)[0] + frame.at(high, 0)[0]) / 2
    parts.append(label_at(middle, frame.height - 5, "covered area, % of the picture", anchor="middle", kind="axis"))
    return "".join(parts)


def _area(area: float) -> str:
    return "clean" if area == 0 else f"{100 * area:.0f}"
