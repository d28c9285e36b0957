"""The results as plain text for a terminal."""

from __future__ import annotations

import textwrap

from ..evaluation.metrics import Estimate
from .results import Results, condition_name, conditions_with, confidence_of, estimate, method_name, methods_with

WIDTH = 100
_CONDITION = 14  # columns of "mouth mask" and a margin
_METHOD = 22  # columns of "100.0 [100.0, 100.0]" and a margin
_BLOCKS = (
    ("Rank-1 %", "identification", "rank1"),
    ("AUC %", "verification", "auc"),
    ("TAR % at FAR 1e-2", "verification", "tar"),
    ("AUC % (people nobody trained on)", "verification_unseen", "auc"),
    ("TAR % at FAR 1e-2 (people nobody trained on)", "verification_unseen", "tar"),
    ("Occlusion: mean IoU % of the boxes (clean: share answered clean)", "occlusion", "iou"),
)


def format_table(results: Results) -> str:
    """The results as ASCII text of at most 100 columns: a table a metric, a row a condition, a column a method.

    Each figure is a percentage with its interval.  More methods than fit side by side continue in a second
    table; what was not measured is left out, or `-` beside figures that were.
    """
    blocks = [_block(results, *block) for block in _BLOCKS]
    return "\n\n".join(block for block in blocks if block) or "nothing was measured"


def _block(results: Results, title: str, section: str, metric: str) -> str:
    methods = methods_with(results, section, metric)
    conditions = conditions_with(results, section, metric, methods)
    fit = (WIDTH - _CONDITION) // _METHOD
    tables = []
    for start in range(0, len(methods), fit):
        shown = methods[start : start + fit]
        head = " " * _CONDITION + "".join(f"{_ascii(method_name(m))[: _METHOD - 2]:>{_METHOD}}" for m in shown)
        rows = [
            f"{_ascii(condition_name(c))[: _CONDITION - 1]:<{_CONDITION}}"
            + "".join(f"{_figure(estimate(results, m, section, c, metric)):>{_METHOD}}" for m in shown)
            for c in conditions
        ]
        tables.append("\n".join([head, "-" * len(head), *rows]))
    pairs = results.get("settings", {}).get("verification")
    told = f" ({_ascii(str(pairs))})" if section == "verification" and pairs else ""
    heading = textwrap.fill(f"{title}{told} [{confidence_of(results)} interval]", WIDTH)
    return f"{heading}\n" + "\n\n".join(tables) if tables else ""


def _figure(figure: Estimate | None) -> str:
    if figure is None:
        return "-"
    value, low, high = (100 * x for x in figure)
    return f"{value:.1f} [{low:5.1f}, {high:5.1f}]"


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
