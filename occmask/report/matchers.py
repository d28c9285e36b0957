"""A comparison of matchers as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .results import Results, condition_name

_METRICS = {"tar": "TAR at FAR 1e-2", "auc": "AUC", "rank1": "rank-1, leave one out"}
_MEANS = {"occluded": "mean of covered", "area_40_50": "mean of 40 and 50 %"}
_HEADLINES = ("clean", "area_50", "occluded", "area_40_50")


def format_matcher_table(results: Results) -> str:
    """The figures that matter, for a terminal: a row an entry, and the paired differences to the control."""
    entries = list(results["figures"])
    wide = max(len(entry) for entry in entries) + 2
    blocks = []
    for metric, title in _METRICS.items():
        head = " " * wide + "".join(f"{_named(c):>24}" for c in _HEADLINES)
        rows = [
            f"{entry:<{wide}}" + "".join(f"{_percent(results['figures'][entry][c][metric]):>24}" for c in _HEADLINES)
            for entry in entries
        ]
        blocks.append("\n".join([f"{title} % [95 % interval over people]", head, "-" * len(head), *rows]))
    blocks.append("\n".join(["Paired differences in points, and folds won", *_difference_lines(results)]))
    return "\n\n".join(blocks)


def _difference_lines(results: Results) -> list[str]:
    folds = results["settings"]["folds"]
    return [
        f"  {row['entry']} - {row['against']}, {_METRICS[row['metric']]}, {_named(row['condition'])}: "
        f"{_points(row['difference'])}, {row['folds_won']} of {folds}"
        for row in results["differences"]
        if row["entry"] == "fused" and row["condition"] in _HEADLINES
    ]


def format_matchers_markdown(results: Results) -> str:
    """Every figure and every difference of `fused`, as GitHub's Markdown."""
    measured = results["conditions"]
    conditions = [c for c in measured if c not in _MEANS] + [c for c in _MEANS if c in measured]
    parts = []
    for metric, title in _METRICS.items():
        rows = [[e, *(_percent(f[c][metric]) for c in conditions)] for e, f in results["figures"].items()]
        parts += [f"{title} in percent, with 95 % intervals over people.", _table(["", *map(_named, conditions)], rows)]
    compared = list(dict.fromkeys((row["entry"], row["against"]) for row in results["differences"]))
    folds = results["settings"]["folds"]
    for metric, title in _METRICS.items():
        found = {
            (r["entry"], r["against"], r["condition"]): f"{_points(r['difference'])} ({r['folds_won']}/{folds})"
            for r in results["differences"]
            if r["metric"] == metric
        }
        rows = [[f"{e} - {a}", *(found[e, a, c] for c in conditions)] for e, a in compared]
        parts += [
            f"{title}: paired differences in points, with their intervals, and the folds won.",
            _table(["", *map(_named, conditions)], rows),
        ]
    return "\n\n".join(parts) + "\n"


def _named(condition: str) -> str:
    return _MEANS.get(condition) or condition_name(condition)


def _percent(figure: Mapping[str, Any]) -> str:
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * figure[end] for end in ("value", "low", "high")))


def _points(figure: Mapping[str, Any]) -> str:
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * figure[end] for end in ("value", "low", "high")))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *rows])
