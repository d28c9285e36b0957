"""One self-contained HTML page with everything a protocol found, for a phone and for a desk, light and dark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluation.metrics import Estimate
from ..protocols.result import Result
from .charts import area_chart, cmc_chart, occluder_chart, open_set_chart, roc_chart, score_charts
from .document import write_document
from .heat_map import heat_maps, map_note
from .listings import text
from .protocol_style import PROTOCOL_STYLE
from .protocol_words import (
    confidence_text,
    credits_of,
    group_name,
    headline_of,
    held_out_of,
    is_percent,
    meaning_of,
    metric_name,
    metrics_of,
    number,
    sentence_of,
    title_of,
)
from .style import STYLE
from .worst_pairs import PairPictures, Pictures, worst_pairs

_SCORES = (roc_chart, score_charts, cmc_chart, open_set_chart)
_CARE = (
    "Error rates differ between groups of people, and a small data set cannot show by how much. An interval says how "
    "far a figure would move if other people of the same kind were tested; it does not cover another training run, "
    "another camera or another data set. One without width says that everybody tested came out the same, and is no "
    "promise."
)


def write_protocol_page(
    path: str | Path, result: Result, pictures: Pictures | None, *, right: Pictures | None = None
) -> Path:
    """Write the page of `result` to `path` and return the path.

    `pictures` finds a picture by its name in the data set, uint8 (H, W, 3), for the pairs the model was most wrong
    about; `right` finds those on the right of a pair where they are of another set, such as a gallery.  Without
    `pictures` faces are left out, and the pairs are named only.  What the result does not hold is left out.  The page
    needs no network and no script.
    """
    title = title_of(result)
    found = None if pictures is None else PairPictures(pictures, right or pictures)
    sections = (
        _section("By how much, and by what", area_chart(result) + occluder_chart(result), plots=True),
        _section("Where it is covered", heat_maps(result), plots=True, note=map_note(result)),
        _section("Scores and errors", "".join(draw(result) for draw in _SCORES), plots=True),
        _section("All figures", _table(result)),
        _section("The pairs it was most wrong about", worst_pairs(result.worst, found), note=_worst_note(result)),
        _notes(result),
        _made_with(result),
    )
    body = f"""<header>
<p class="kicker">{text(f"occmask {result.versions.get('occmask', '')}".strip())}, protocol {text(result.protocol)}</p>
<h1>{text(title)}</h1>
<p class="lead">{text(sentence_of(result))}</p>
{_tiles(result)}</header>
<main>
{"".join(sections)}</main>
<footer>
<p class="note">{text(_CARE)}</p>
{_about_pictures(result) if found and result.worst else ""}</footer>"""
    return write_document(
        path, title=f"{title}: {result.model.get('name') or 'a model'}", styles=(STYLE, PROTOCOL_STYLE), body=body
    )


def _about_pictures(result: Result) -> str:
    return "".join(f'<p class="note">{text(said)}</p>\n' for said in credits_of(result))


def _section(heading: str, inside: str, *, plots: bool = False, note: str = "") -> str:
    if not inside:
        return ""
    said = f'<p class="note">{text(note)}</p>\n' if note else ""
    content = f'<div class="plots">\n{inside}</div>\n' if plots else inside
    return f"<section>\n<h2>{text(heading)}</h2>\n{said}{content}</section>\n"


def _tiles(result: Result) -> str:
    """The figures a reader should leave with: the first group's, and the first of them where it is hardest."""
    if not result.figures:
        return ""
    first = next(iter(result.figures))
    leading = headline_of(list(result.figures[first]))
    metric = next(iter(leading), None)
    chosen = [(first, m) for m in leading]
    others = [g for g in result.figures if g != first and metric in result.figures[g]]
    if metric is not None and others:
        middle = "area_40" if "area_40" in others else None
        lowest = min(others, key=lambda g: result.figures[g][metric].value)
        chosen += [(g, metric) for g in dict.fromkeys(g for g in (middle, lowest) if g)]
    tiles = "".join(
        f'<div class="tile c0"><span>{_metric(m)}, {text(group_name(g))}</span>'
        f"<b>{_value(result.figures[g][m], m)}</b>"
        f'<span class="interval">{_interval(result.figures[g][m], m)}{" %" if is_percent(m) else ""}</span></div>'
        for g, m in chosen
    )
    note = f'<p class="note">With {text(confidence_text(result))} intervals over people.</p>'
    return f'<div class="tiles">\n{tiles}\n</div>\n{note}\n'


def _table(result: Result) -> str:
    metrics, marked = metrics_of(result), held_out_of(result)
    if not metrics:
        return ""
    heads = "".join(f'<th scope="col">{_metric(m)}{", %" if is_percent(m) else ""}</th>' for m in metrics)
    rows = "\n".join(
        f'<tr><th scope="row">{text(group_name(group))}'
        + ('<span class="held">held out</span>' if group in marked else "")
        + "</th>"
        + "".join(_cell(found.get(m), m) for m in metrics)
        + "</tr>"
        for group, found in result.figures.items()
    )
    meanings: dict[str, list[str]] = {}
    for metric in metrics:
        if said := meaning_of(metric):
            meanings.setdefault(said, []).append(metric_name(metric))
    explained = "\n".join(f"<li>{text(', '.join(names))}: {text(said)}</li>" for said, names in meanings.items())
    return f"""<p class="note">Small print: the {text(confidence_text(result))} interval, from resampling people.</p>
<div class="scroll" role="region" aria-label="All figures" tabindex="0"><table>
<thead><tr><th scope="col">faces</th>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<ul class="note">
{explained}
</ul>
"""


def _metric(metric: str) -> str:
    """The name as HTML; `1e-3` stays on one line."""
    return text(metric_name(metric)).replace("e-", "e&#8209;")


def _cell(figure: Estimate | None, metric: str) -> str:
    if figure is None:
        return "<td>-</td>"
    return f'<td>{number(figure.value, metric)}<span class="interval">{_interval(figure, metric)}</span></td>'


def _value(figure: Estimate, metric: str) -> str:
    return number(figure.value, metric) + ("&nbsp;%" if is_percent(metric) else "")


def _interval(figure: Estimate, metric: str) -> str:
    return f"{number(figure.low, metric)}&ndash;{number(figure.high, metric)}"


def _worst_note(result: Result) -> str:
    clean = " Clean pictures, before anything is covered." if result.protocol == "stress" else ""
    return f"Cosine similarity of each pair: 1 is the same picture.{clean}"


def _notes(result: Result) -> str:
    items = "\n".join(f"<li>{text(note)}</li>" for note in result.notes)
    return _section("How to read this", f"<ul>\n{items}\n</ul>\n" if items else "")


def _made_with(result: Result) -> str:
    lists = (
        ("Settings", result.settings),
        ("Data", result.data),
        ("Model", result.model),
        ("Versions", result.versions),
    )
    parts = [
        f"<details open><summary>{name}</summary>\n<dl>\n{_rows(values)}\n</dl></details>\n"
        for name, values in lists
        if values
    ]
    return _section("How it was made", "".join(parts))


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(entry) for entry in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(entry)}" for key, entry in value.items())
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


def _rows(values: Mapping[str, Any]) -> str:
    rows = []
    for key, value in values.items():
        plain = _plain(value)
        shown = f"<code>{text(plain)}</code>" if key == "fingerprint" else text(plain)
        rows.append(f"<dt>{text(key.replace('_', ' '))}</dt><dd>{shown or '-'}</dd>")
    return "\n".join(rows)
