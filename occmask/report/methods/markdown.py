"""A comparison of methods as Markdown for documentation: findings and tables, no pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ...evaluation.metrics import Estimate
from ..results import Results, condition_name, conditions_with, confidence_of, estimate
from .data import (
    areas_of,
    control_of,
    differences_of,
    family_of,
    figure_of,
    fixed_box,
    headline_of,
    mean_worn,
    methods_in_order,
    millions,
    missing_of,
    plugin_of,
    rank1_of,
    reference_of,
    short_condition,
    verdict_at,
    worn_of,
)
from .findings import difference_text, findings_of
from .marks import three_digits
from .table import SIGNS
from .words import how_it_was_made, limits_of


def format_methods_markdown(results: Results) -> str:
    """The findings, and tables of rank-1, differences, cost and IoU, as GitHub's Markdown without pictures."""
    methods = methods_in_order(results)
    parts = [" ".join(_plain(line) for line in findings_of(results))]
    if methods:
        parts += [*_methods(results, methods), *_rank1(results, methods), *_differences(results, methods)]
        parts += [*_verification(results, methods), *_cost(results, methods), *_iou(results, methods)]
    missing = missing_of(results)
    if missing:
        parts += ["Not measured:", "\n".join(f"- {_plain(method)}: {_plain(reason)}" for method, reason in missing)]
    parts += ["Limits:", "\n".join(f"- {_plain(line)}" for line in limits_of(results))]
    parts.append(" ".join(_plain(line) for line in how_it_was_made(results)))
    if results.get("command"):
        parts.append("\n".join(f"    {line}" for line in str(results["command"]).splitlines()))
    return "\n\n".join(part for part in parts if part) + "\n"


def _methods(results: Results, methods: Sequence[str]) -> list[str]:
    rows = [
        [m, str(results["methods"][m].get("summary") or "-"), family_of(results, m), plugin_of(results, m) or "occmask"]
        for m in methods
    ]
    return [_table(["method", "what it is", "family", "from"], rows)]


def _rank1(results: Results, methods: Sequence[str]) -> list[str]:
    reference, found = reference_of(results), differences_of(results)

    def cell(method: str, condition: str) -> str:
        sign = SIGNS.get(verdict_at(results, found, method, condition, against=reference) or "", "")
        return _figure(rank1_of(results, method, condition), 100) + (f" ({sign})" if sign else "")

    marks = (
        f" (+) better and (-) worse than {_plain(reference)}: the interval of the paired difference excludes 0."
        if reference
        else ""
    )
    parts = [f"Rank-1 in percent, with {confidence_of(results)} intervals.{marks}"]
    areas, worn = areas_of(results), worn_of(results)
    if areas:
        parts.append(_by_condition(methods, areas, cell))
    if worn:
        means = {m: mean_worn(results, m) for m in methods}
        rows = [
            [m, *(cell(m, c) for c in worn), "-" if (mean := means[m]) is None else f"{100 * mean:.1f}"]
            for m in methods
        ]
        parts.append(_table(["method", *(condition_name(c) for c in worn), "mean"], rows))
    return parts if areas or worn else []


def _differences(results: Results, methods: Sequence[str]) -> list[str]:
    reference, found, headline = reference_of(results), differences_of(results), headline_of(results)
    if not found or reference is None:
        return []
    conditions = list(dict.fromkeys(c for c in ("clean", headline) if c and any(d.condition == c for d in found)))
    rows = []
    for method in methods:
        for against in (reference, control_of(results, method)):
            cells = [
                "-" if against is None else difference_text(found, method, against=against, condition=c)
                for c in conditions
            ]
            if against not in (None, method) and any(c != "-" for c in cells):
                rows.append([method, str(against), *cells])
    if not rows:
        return []
    return [
        f"Paired differences of rank-1 in percentage points, with {confidence_of(results)} intervals.",
        _table(["method", "against", *(condition_name(c) for c in conditions)], rows),
    ]


def _verification(results: Results, methods: Sequence[str]) -> list[str]:
    far, parts = results.get("settings", {}).get("far"), []
    for metric, name in (("auc", "AUC"), ("tar", f"TAR at FAR {far:g}" if isinstance(far, (int, float)) else "TAR")):
        conditions = conditions_with(results, "verification", metric, list(methods))

        def cell(method: str, condition: str, metric: str = metric) -> str:
            return _figure(estimate(results, method, "verification", condition, metric), 100)

        if conditions:
            parts += [f"{name} in percent.", _by_condition(methods, conditions, cell)]
    return parts


def _cost(results: Results, methods: Sequence[str]) -> list[str]:
    rows = []
    for method in methods:
        told = results["methods"][method]
        time = figure_of(told.get("milliseconds"))
        seconds, steps = told.get("train_seconds"), told.get("steps")
        rows.append(
            [
                method,
                millions(told.get("parameters")),
                millions(told.get("added_parameters")),
                "-" if time is None else "{} [{}, {}]".format(*three_digits(time)),
                "-" if seconds is None else f"{float(seconds):.0f}",
                "-" if steps is None else str(int(steps)),
            ]
        )
    return [_table(["method", "parameters", "added", "ms per face", "training, s", "steps"], rows)]


def _iou(results: Results, methods: Sequence[str]) -> list[str]:
    answering = [m for m in methods if results["methods"][m].get("occlusion")]
    conditions = conditions_with(results, "occlusion", "iou", answering)
    if not conditions:
        return []
    rows = [[m, *(_figure(estimate(results, m, "occlusion", c, "iou"), 1) for c in conditions)] for m in answering]
    boxes = [fixed_box(results, c) for c in conditions]
    if any(boxes):
        rows.append(["best fixed box", *(_figure(box, 1) for box in boxes)])
    return [
        "Mean IoU of the believed box with the true one; on clean faces, the share answered clean.",
        _table(["method", *(condition_name(c) for c in conditions)], rows),
    ]


def _by_condition(methods: Sequence[str], conditions: Sequence[str], cell: Callable[[str, str], str]) -> str:
    rows = [[m, *(cell(m, c) for c in conditions)] for m in methods]
    return _table(["method", *(short_condition(c) for c in conditions)], rows)


def _figure(figure: Estimate | None, unit: float) -> str:
    if figure is None:
        return "-"
    value, low, high = (f"{unit * x:.{1 if unit == 100 else 2}f}" for x in figure)
    return f"{value} [{low}, {high}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(words: str) -> str:
    """Words that Markdown shows as they are: on one line, no table, tag or emphasis begun."""
    return re.sub(r"[\\|<>*`]|(?<=\])\(|\b_|_\b|(?<!\w)_(?!\w)", r"\\\g<0>", " ".join(words.split()))
