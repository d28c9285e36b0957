"""One self-contained HTML page that compares methods: accuracy with intervals, differences, cost and answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..document import write_document
from ..listings import settings, text
from ..protocol_style import PROTOCOL_STYLE
from ..results import Results
from ..style import STYLE
from .data import CONTROL, families_of, family_of, family_style, methods_in_order, missing_of
from .findings import findings_of
from .forest import forests
from .lines import lines_chart
from .panels import panels
from .pictures import Pictures, check_pictures, pictures_table, shows_faces
from .style import METHODS_STYLE
from .tables import (
    cost_table,
    iou_table,
    own_control_text,
    plug_in,
    rank1_tables,
    verification_tables,
)
from .words import credits_of, how_it_was_made, limits_of

_TITLE = "Answers to occlusion, compared"
_IOU = (
    "Mean IoU of the believed box with the true one; on clean faces, the share answered clean. The fixed box is the "
    "best one that never looks at the picture: an answer is worth something where its interval lies above that one's."
)
_COST = (
    "Parameters of the model as it is saved, and how many more than the baseline's. Time per face is of this machine, "
    "from the picture to the embedding; small print: how far repeated timings lie apart. The training seconds are "
    "without those of the method that it starts from."
)


def write_methods_page(path: str | Path, results: Mapping[str, Any], *, pictures: Pictures) -> None:
    """Write the page of a comparison of methods to `path`.

    `results` is what `occmask compare-methods` measured; `pictures` holds the answers of the methods that say what is
    covered, by method, of the same faces in the same order.  What is missing is left out; a flat picture is drawn
    without a face.  The page needs no network and no script.  Raises `DataError` when the methods have different
    numbers of pictures.
    """
    check_pictures(pictures)
    answers = _titled("Box IoU", iou_table(results), note=_IOU) + pictures_table(results, pictures)
    some = bool(results.get("methods"))
    sections = (
        _section("Rank-1 against covered area", lines_chart(results)),
        _section("Each method against the control", panels(results)),
        _section("The methods", _methods(results)),
        _section("All figures", rank1_tables(results) + verification_tables(results)) if some else "",
        _section("Differences from the control", forests(results)),
        _section("What it costs", cost_table(results), note=_COST) if some else "",
        _section("What each believes is covered", answers),
        _section("Not measured", _missing(results)),
        _section("What these figures show, and what they do not", _list(limits_of(results))),
        _section("How it was made", _made(results)),
    )
    version = f"occmask {results.get('occmask', '')}".strip()
    date = f", {results['date']}" if results.get("date") else ""
    body = f"""<header>
<p class="kicker">{text(version + date)}, compare-methods</p>
<h1>{text(_TITLE)}</h1>
{_findings(results)}</header>
<main>
{"".join(sections)}</main>
<footer>
{"".join(f'<p class="note">{text(said)}</p>' for said in credits_of(results, faces=shows_faces(pictures)))}
</footer>"""
    write_document(path, title=_TITLE, styles=(STYLE, PROTOCOL_STYLE, METHODS_STYLE), body=body)


def _section(heading: str, inside: str, *, note: str = "") -> str:
    if not inside:
        return ""
    said = f'<p class="note">{text(note)}</p>\n' if note else ""
    return f"<section>\n<h2>{text(heading)}</h2>\n{said}{inside}</section>\n"


def _titled(heading: str, inside: str, *, note: str) -> str:
    return f'<h3>{text(heading)}</h3>\n<p class="note">{text(note)}</p>\n{inside}' if inside else ""


def _findings(results: Results) -> str:
    told = findings_of(results)
    lead, rest = told[:2], told[2:]
    sentences = f'<p class="lead">{text(" ".join(lead))}</p>\n'
    return sentences + (_list(rest, kind="findings") if rest else "")


def _list(lines: list[str], *, kind: str = "") -> str:
    items = "\n".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul{f' class={kind}' if kind else ''}>\n{items}\n</ul>\n" if lines else ""


def _methods(results: Results) -> str:
    """What each method is, family by family."""
    parts = []
    for family in (CONTROL, *families_of(results)):
        methods = [m for m in methods_in_order(results) if family_of(results, m) == family]
        items = "\n".join(_method(results, m) for m in methods)
        swatch = f'<i class="swatch {family_style(results, family)}"></i>'
        if methods:
            parts.append(f"<h3>{swatch}{text(family.capitalize())}</h3>\n<ul>\n{items}\n</ul>\n")
    return f'<div class="kinds">\n{"".join(parts)}</div>\n' if parts else ""


def _method(results: Results, method: str) -> str:
    summary = str(results["methods"][method].get("summary") or "")
    more = ", ".join(part for part in (plug_in(results, method), own_control_text(results, method)) if part)
    return (
        f"<li><b>{text(method)}</b>"
        + (f": {text(summary)}" if summary else "")
        + (f" <small>({text(more)})</small>" if more else "")
        + "</li>"
    )


def _missing(results: Results) -> str:
    items = "\n".join(f"<li><b>{text(method)}</b>: {text(reason)}</li>" for method, reason in missing_of(results))
    return f"<ul>\n{items}\n</ul>\n" if items else ""


def _made(results: Results) -> str:
    command = str(results.get("command") or "")
    sentences = "".join(f"<p>{text(line)}</p>\n" for line in how_it_was_made(results))
    shown = f"<pre><code>{text(command)}</code></pre>\n" if command else ""
    lists = settings(results).partition("</h2>\n")[2].removesuffix("</section>\n")  # under this page's own heading
    return sentences + shown + lists
