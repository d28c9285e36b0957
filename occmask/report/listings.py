"""The page's tables: every figure with its interval, and what the run was made with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from ..evaluation.metrics import Estimate
from .results import (
    Results,
    condition_name,
    conditions_with,
    confidence_of,
    estimate,
    method_name,
    methods_with,
)


def text(plain: str) -> str:
    """Any text as HTML; a percent sign stays on its number's line."""
    return re.sub(r"(?<=\d) %", "&nbsp;%", escape(plain))


def tables(results: Results) -> str:
    """Every metric by condition and method, each figure with its interval; empty when nothing was measured."""
    pairs = str(results.get("settings", {}).get("verification", "known people, unseen pictures"))
    unseen = "people nobody trained on"
    same, passed = (
        "Verification of all pairs: is it the same person?",
        "Genuine pairs accepted when 1 % of the impostors are",
    )
    boxes = "Predicted and true box: 1 is exact, 0 is no overlap. On clean faces: the share answered clean."
    blocks = (
        ("Rank-1, %", "Closed-set identification: who of the gallery is it?", "identification", "rank1", 100.0),
        ("AUC, %", f"{same} ({pairs})", "verification", "auc", 100.0),
        ("TAR at FAR = 1e-2, %", f"{passed} ({pairs})", "verification", "tar", 100.0),
        (f"AUC, %: {unseen}", f"{same} (means over folds)", "verification_unseen", "auc", 100.0),
        (f"TAR at FAR = 1e-2, %: {unseen}", f"{passed} (means over folds)", "verification_unseen", "tar", 100.0),
        ("Where is it covered? Mean IoU", boxes, "occlusion", "iou", 1.0),
    )
    tables = "".join(_table(results, *block) for block in blocks)
    if not tables:
        return ""
    return f"""<section>
<h2>All figures</h2>
<p class="note">Small print: the {text(confidence_of(results))} interval, from resampling people.</p>
<div class="tables">
{tables}</div>
</section>
"""


def _table(results: Results, title: str, note: str, section: str, metric: str, unit: float) -> str:
    methods = methods_with(results, section, metric)
    if not methods:
        return ""
    heads = "".join(f'<th scope="col">{text(method_name(m))}</th>' for m in methods)
    rows = "\n".join(
        f'<tr><th scope="row">{text(condition_name(c))}</th>'
        + "".join(_cell(estimate(results, m, section, c, metric), unit) for m in methods)
        + "</tr>"
        for c in conditions_with(results, section, metric, methods)
    )
    return f"""<section>
<h3>{text(title)}</h3>
<p class="note">{text(note)}</p>
<div class="scroll" role="region" aria-label="{text(title)}" tabindex="0"><table>
<thead><tr><th scope="col">faces</th>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
</section>
"""


def _cell(figure: Estimate | None, unit: float) -> str:
    if figure is None:
        return "<td>-</td>"
    value = f"{figure.value * unit:.1f}" if unit == 100 else f"{figure.value * unit:.2f}"
    return f'<td>{value}<span class="interval">{interval(figure, unit)}</span></td>'


def settings(results: Results) -> str:
    """What the run was made with, as lists of names and values; empty when the results do not say."""
    parts = []
    for key, name in (("settings", "Settings"), ("environment", "Environment"), ("seconds", "Seconds")):
        values = results.get(key)
        if isinstance(values, Mapping) and values:
            rows = "\n".join(f"<dt>{text(_readable(k))}</dt><dd>{text(v)}</dd>" for k, v in _flattened(values))
            state = " open" if key == "settings" else ""
            parts.append(f"<details{state}><summary>{name}</summary>\n<dl>\n{rows}\n</dl></details>\n")
    return f"<section>\n<h2>How it was made</h2>\n{''.join(parts)}</section>\n" if parts else ""


def _flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flattened(value, f"{prefix}{key}, ")
        elif isinstance(value, float):
            rows.append((f"{prefix}{key}", f"{value:.6g}"))
        else:
            plain = value if isinstance(value, str) else json.dumps(value, default=str)
            rows.append((f"{prefix}{key}", plain))
    return rows


def _readable(key: str) -> str:
    return key.replace("_", " ")


def interval(figure: Estimate, unit: float) -> str:
    """`84.0&ndash;94.0`: the interval in percent (unit 100) or as shares (unit 1)."""
    digits = 1 if unit == 100 else 2
    return f"{figure.low * unit:.{digits}f}&ndash;{figure.high * unit:.{digits}f}"
