"""A protocol's figures as plain text that fits 80 columns."""

from __future__ import annotations

from ..protocols.result import Result
from .protocol_words import (
    confidence_text,
    counts_of,
    figure_text,
    group_name,
    held_out_of,
    is_percent,
    metric_name,
    metrics_of,
)

WIDTH = 80
_COLUMN = 22  # "0.792 [0.764, 0.816]" and a margin


def format_result(result: Result) -> str:
    """The figures as ASCII text of at most 80 columns: a row a group, a column a metric, with intervals.

    Metrics that do not fit side by side continue in a second table; groups whose occluder no recipe trains on have a
    star.
    """
    marked = held_out_of(result)
    names = {group: group_name(group) + (" *" if group in marked else "") for group in result.figures}
    label = min(WIDTH - 2 * _COLUMN, 2 + max((len(name) for name in names.values()), default=0))
    fit = (WIDTH - label) // _COLUMN
    metrics = metrics_of(result)
    tables = -(-len(metrics) // fit)
    each = -(-len(metrics) // tables) if tables else 0  # two and two rather than three and one
    blocks = []
    for start in range(0, len(metrics), max(1, each)):
        shown = metrics[start : start + each]
        heads = [metric_name(m).replace(" at FAR ", "@").replace(" at FPIR ", "@") for m in shown]
        heads = [head + (" %" if is_percent(m) else "") for head, m in zip(heads, shown, strict=True)]
        head = " " * label + "".join(f"{h[: _COLUMN - 1]:>{_COLUMN}}" for h in heads)
        rows = [
            f"{names[group][: label - 1]:<{label}}"
            + "".join(f"{figure_text(found[m], m) if m in found else '-':>{_COLUMN}}" for m in shown)
            for group, found in result.figures.items()
            if any(m in found for m in shown)
        ]
        blocks.append("\n".join([head, "-" * len(head), *rows]))
    counted = counts_of(result)
    said = f"{result.protocol} on {result.data.get('name') or 'faces'}" + (f": {counted}" if counted else "")
    foot = [f"[]: {confidence_text(result)} intervals over people"] + (["*: held out of training"] if marked else [])
    whole = "\n\n".join([said, *blocks, "; ".join(foot)])
    return whole.encode("ascii", "replace").decode()
