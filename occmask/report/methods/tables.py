"""The HTML tables of the page of methods: figures by condition, cost, and how well each knows what is covered."""

from __future__ import annotations

from collections.abc import Sequence

from ...evaluation.metrics import Estimate
from ..listings import interval, text
from ..results import Results, conditions_with, confidence_of, estimate
from .data import (
    areas_of,
    control_of,
    differences_of,
    family_of,
    family_style,
    figure_of,
    fixed_box,
    methods_in_order,
    millions,
    plugin_of,
    rank1_of,
    reference_of,
    short_condition,
    spread_of,
    verdict_at,
    worn_of,
)
from .marks import sign, three_digits


def rank1_tables(results: Results) -> str:
    """Rank-1 by covered area and by what is worn, marked where a method differs from the control."""
    reference = reference_of(results)
    said = f"Small print: the {confidence_of(results)} interval"
    said += ", and the standard deviation between seeds (sd)" if _has_spread(results) else ""
    marks = (
        f'<p class="note">{text(said)}. {sign("better", against=reference)} better and '
        f"{sign('worse', against=reference)} worse than the control {text(reference)}: the interval of the paired "
        f"difference excludes 0.</p>\n"
        if reference and differences_of(results)
        else f'<p class="note">{text(said)}.</p>\n'
    )
    areas, worn = (_rank1(results, c) for c in (areas_of(results), worn_of(results)))
    tables = (("Rank-1 by covered area, %", areas), ("Rank-1 behind what people wear or hold, %", worn))
    shown = "".join(f"<h3>{name}</h3>\n{scrolled(table, name)}" for name, table in tables if table)
    return marks + shown if shown else ""


def verification_tables(results: Results) -> str:
    """AUC and TAR by condition, folded; empty when neither was measured."""
    far = results.get("settings", {}).get("far")
    at = f" at FAR {far:g}" if isinstance(far, (int, float)) else ""
    methods, parts = methods_in_order(results), []
    for metric, name in (("auc", "AUC, %"), ("tar", f"TAR{at}, %")):
        conditions = conditions_with(results, "verification", metric, methods)
        rows = [(m, [_cell(estimate(results, m, "verification", c, metric), 100) for c in conditions]) for m in methods]
        if conditions:
            heads = [short_condition(c) for c in conditions]
            parts.append(f"<h3>{text(name)}</h3>\n{scrolled(_table(results, heads, rows), name)}")
    if not parts:
        return ""
    return (
        "<details><summary>Verification: is it the same person?</summary>\n"
        '<p class="note">AUC: the chance that a pair of one person scores above a pair of two. TAR: pairs of one '
        "person accepted at the threshold that the named share of other pairs passes.</p>\n"
        f"{''.join(parts)}</details>\n"
    )


def cost_table(results: Results) -> str:
    """Parameters, time per face and training of every method."""
    slowest = max((f.value for m in results["methods"].values() if (f := figure_of(m.get("milliseconds")))), default=0)
    rows = []
    for method in methods_in_order(results):
        told = results["methods"][method]
        added, seconds, steps = (told.get(key) for key in ("added_parameters", "train_seconds", "steps"))
        plus = "+" if isinstance(added, (int, float)) and added > 0 else ""
        cells = [
            f"<td>{millions(told.get('parameters'))}</td>",
            f"<td>{plus}{millions(added)}</td>",
            _time(figure_of(told.get("milliseconds")), slowest),
            f"<td>{'-' if seconds is None else f'{float(seconds):.0f}'}</td>",
            f"<td>{'-' if steps is None else f'{int(steps):,}'}</td>",
        ]
        rows.append((method, cells))
    heads = ("parameters", "added", "ms per face", "training, s", "steps")
    return scrolled(_table(results, heads, rows), "What each method costs")


def iou_table(results: Results) -> str:
    """Box IoU of every method that answers, beside the best box that never looks; empty when none does."""
    methods = [m for m in methods_in_order(results) if results["methods"][m].get("occlusion")]
    conditions = conditions_with(results, "occlusion", "iou", methods)
    if not conditions:
        return ""
    rows = []
    for method in methods:
        cells = []
        for condition in conditions:
            figure, fixed = estimate(results, method, "occlusion", condition, "iou"), fixed_box(results, condition)
            verdict = None
            if figure is not None and fixed is not None:
                verdict = "better" if figure.low > fixed.high else "worse" if figure.high < fixed.low else None
            cells.append(_cell(figure, 1, sign(verdict, against="the fixed box")))
        rows.append((method, cells))
    boxes = [fixed_box(results, c) for c in conditions]
    marks = f"{sign('better', against='the fixed box')} the interval lies above the fixed box's, "
    marks += f"{sign('worse', against='the fixed box')} below."
    last = f'<tr class="control">{_head("the best fixed box", "never looks")}{"".join(_cell(b, 1) for b in boxes)}</tr>'
    table = _table(results, [short_condition(c) for c in conditions], rows, last=last if any(boxes) else "")
    said = f'<p class="note">{marks}</p>\n' if any(boxes) else ""
    return said + scrolled(table, "IoU of what each believes is covered")


def scrolled(table: str, name: str) -> str:
    """A table in a box that scrolls sideways by itself."""
    return f'<div class="scroll methods" role="region" aria-label="{text(name)}" tabindex="0">{table}</div>\n'


def plug_in(results: Results, method: str) -> str:
    """`"from occmask-pdsn"`; empty for a method of occmask itself."""
    name = plugin_of(results, method)
    return f"from {name}" if name else ""


def row_head(results: Results, method: str) -> str:
    """The first cell of a method's row: its name in its family's colour, and its plug-in."""
    style = family_style(results, family_of(results, method)) if method in results["methods"] else "fc"
    return _head(method, plug_in(results, method), style)


def _head(name: str, below: str, style: str = "") -> str:
    small = f"<small>{text(below)}</small>" if below else ""
    return f'<th scope="row"><span class="who {style}">{text(name)}{small}</span></th>'


def _rank1(results: Results, conditions: Sequence[str]) -> str:
    reference, found = reference_of(results), differences_of(results)
    rows = []
    for method in methods_in_order(results):
        cells = []
        for condition in conditions:
            verdict = verdict_at(results, found, method, condition, against=reference)
            spread = spread_of(results, method, condition)
            below = "" if spread is None else f"sd {100 * spread:.1f}"
            figure = rank1_of(results, method, condition)
            cells.append(_cell(figure, 100, sign(verdict, against=reference or ""), below=below))
        rows.append((method, cells))
    return _table(results, [short_condition(c) for c in conditions], rows) if conditions else ""


def _table(results: Results, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], *, last: str = "") -> str:
    reference = reference_of(results)
    head = "".join(f'<th scope="col">{text(h)}</th>' for h in heads)
    body = "\n".join(
        f"<tr{' class=control' if method == reference else ''}>{row_head(results, method)}{''.join(cells)}</tr>"
        for method, cells in rows
    )
    return f'<table><thead><tr><th scope="col">method</th>{head}</tr></thead>\n<tbody>\n{body}\n{last}</tbody></table>'


def _cell(figure: Estimate | None, unit: float, mark: str = "", *, below: str = "") -> str:
    if figure is None:
        return "<td>-</td>"
    value = f"{figure.value * unit:.1f}" if unit == 100 else f"{figure.value * unit:.2f}"
    small = f'<span class="interval">{interval(figure, unit)}</span>'
    return f"<td>{mark}{value}{small}" + (f'<span class="interval">{below}</span>' if below else "") + "</td>"


def _time(figure: Estimate | None, slowest: float) -> str:
    if figure is None:
        return "<td>-</td>"
    share = 100 * figure.value / slowest if slowest else 0
    value, low, high = three_digits(figure)
    return (
        f'<td>{value}<span class="interval">{low}&ndash;{high}</span>'
        f'<span class="meter"><i style="width:{share:.0f}%"></i></span></td>'
    )


def _has_spread(results: Results) -> bool:
    conditions = [*areas_of(results), *worn_of(results)]
    return any(spread_of(results, m, c) is not None for m in results["methods"] for c in conditions)


def own_control_text(results: Results, method: str) -> str:
    """`"compared with frozen too"`; empty where the control is the one of all."""
    own = control_of(results, method)
    return f"compared with {own} too" if own else ""
