"""One self-contained HTML page with everything a run found, for a phone and for a desk, light and dark."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from ..evaluation.metrics import Estimate
from .curves import curves_of, draw_curves, line_colour
from .figures import FacePicture, draw_pair
from .results import (
    Results,
    condition_name,
    conditions_with,
    confidence_of,
    estimate,
    method_name,
    methods_of,
    methods_with,
)
from .style import STYLE
from .summary import headline_condition, summarise
from .words import credits_of, limits_of, method_notes

_WIDE, _NARROW = (1600, 900), (840, 800)  # pixels; the narrow one keeps its letters legible on a phone


def write_report(
    path: str | Path,
    results: Results,
    *,
    pictures: Sequence[FacePicture] = (),
    title: str = "Recognising covered faces",
) -> Path:
    """Write the report of `results` (the dictionary of results.json) to `path` and return the path.

    The page draws its own curves from the results and shows each of the `pictures` as given and with the answer.
    Methods, conditions, metrics or pictures that are missing are left out.  The page needs no network and no script.
    """
    sections = (_curves(results), _faces(results, pictures), _tables(results), _limits(results), _settings(results))
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{STYLE}
</style>
</head>
<body>
{_head(results, title)}
<main>
{"".join(sections)}</main>
{_foot(results)}
</body>
</html>
"""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target


def _head(results: Results, title: str) -> str:
    version = str(results.get("occmask", "")).strip()
    sentences = "\n".join(f'<p class="lead">{escape(sentence)}</p>' for sentence in summarise(results))
    return f"""<header>
<p class="kicker">{escape(f"occmask {version}".strip())}, report of one run</p>
<h1>{escape(title)}</h1>
{sentences}
{_tiles(results)}</header>"""


def _tiles(results: Results) -> str:
    condition = headline_condition(results)
    tiles = []
    for index, method in enumerate(methods_of(results)):
        figure = estimate(results, method, "identification", condition, "rank1") if condition else None
        if figure is not None:
            light, dark = (_css(line_colour(method, index, dark=dark)) for dark in (False, True))
            tiles.append(
                f'<div class="tile" style="--light: {light}; --dark: {dark}"><span>{escape(method_name(method))}</span>'
                f'<b>{100 * figure.value:.1f} %</b><span class="interval">{_interval(figure, 100)} %</span></div>'
            )
    if not tiles or condition is None:
        return ""
    note = f"Rank-1 at {condition_name(condition)}: share of faces named correctly, with the {confidence_of(results)} interval."
    return f'<div class="tiles">\n{"".join(tiles)}\n</div>\n<p class="note">{escape(note)}</p>\n'


def _curves(results: Results) -> str:
    series = curves_of(results)
    if not series:
        return ""
    drawn = {
        (narrow, dark): _data_uri(draw_curves(series, dark=dark, size=_NARROW if narrow else _WIDE))
        for narrow in (False, True)
        for dark in (False, True)
    }
    ends = ", ".join(f"{method_name(s.method)} {100 * s.rank1[-1].value:.1f} %" for s in series)
    alt = f"Line chart of rank-1 against covered area. At {100 * series[0].area[-1]:.0f} % covered area: {ends}."
    notes = "\n".join(f"<li>{escape(note)}</li>" for note in method_notes([s.method for s in series]))
    return f"""<section>
<h2>The more is covered, the fewer are named</h2>
<figure class="chart"><picture>
<source media="(max-width: 40rem) and (prefers-color-scheme: dark)" srcset="{drawn[True, True]}">
<source media="(max-width: 40rem)" srcset="{drawn[True, False]}">
<source media="(prefers-color-scheme: dark)" srcset="{drawn[False, True]}">
<img src="{drawn[False, False]}" alt="{escape(alt)}" width="{_WIDE[0]}" height="{_WIDE[1]}">
</picture>
<figcaption class="note">Bands: {escape(confidence_of(results))} bootstrap intervals over people.
The covering rectangles have textures that no method saw in training.</figcaption></figure>
<ul class="note">
{notes}
</ul>
</section>
"""


def _faces(results: Results, pictures: Sequence[FacePicture]) -> str:
    if not pictures:
        return ""
    figures = "\n".join(
        f'<figure><img src="{_data_uri(draw_pair(p, scale=2), jpeg=True)}" alt="{escape(_face_alt(p))}" loading="lazy" '
        f'width="{2 * p.image.shape[1]}" height="{4 * p.image.shape[0] + 2}">'
        f"<figcaption>{escape(p.title)}<small>{escape(p.subtitle)}</small></figcaption></figure>"
        for p in pictures
    )
    k = len(pictures[0].cells)
    true = (
        '\n<li><i class="true"></i>what really is covered</li>' if any(p.true_box is not None for p in pictures) else ""
    )
    return f"""<section>
<h2>What the model believes is covered</h2>
<p>Above, the face as the model got it. Below, its answer: a grid of {k} x {k} cells, each orange when the model is
more than half sure that the cell is covered, and the stronger the surer. The pictures were chosen before the model
was asked, so right and wrong answers stand side by side.</p>
<ul class="legend">
<li><i class="sure"></i>believed covered, 50 % to 100 % sure</li>
<li><i class="said"></i>the model's box</li>{true}
</ul>
<div class="faces">
{figures}
</div>
</section>
"""


def _face_alt(picture: FacePicture) -> str:
    covered = int((picture.cells >= 0.5).sum())
    answer = (
        f"the model marks {covered} of {picture.cells.size} cells as covered" if covered else "the model marks nothing"
    )
    told = ", ".join(part for part in (picture.title, picture.subtitle) if part)
    return f"A face{f' ({told})' if told else ''}, plain and with the answer: {answer}."


def _tables(results: Results) -> str:
    pairs = str(results.get("settings", {}).get("verification", "known people, unseen pictures"))
    blocks = (
        ("Rank-1, %", "Closed-set identification: who of the gallery is it?", "identification", "rank1", 100.0),
        ("AUC, %", f"Verification of all pairs: is it the same person? ({pairs})", "verification", "auc", 100.0),
        (
            "TAR at FAR = 1e-2, %",
            f"Genuine pairs accepted when 1 % of the impostors are ({pairs})",
            "verification",
            "tar",
            100.0,
        ),
        (
            "Where is it covered? Mean IoU",
            "Predicted and true box: 1 is exact, 0 is no overlap. On clean faces: the share answered clean.",
            "occlusion",
            "iou",
            1.0,
        ),
    )
    tables = "".join(_table(results, *block) for block in blocks)
    if not tables:
        return ""
    return f"""<section>
<h2>All figures</h2>
<p class="note">Small print: the {escape(confidence_of(results))} interval, from resampling people.</p>
{tables}</section>
"""


def _table(results: Results, title: str, note: str, section: str, metric: str, unit: float) -> str:
    methods = methods_with(results, section, metric)
    if not methods:
        return ""
    heads = "".join(f'<th scope="col">{escape(method_name(m))}</th>' for m in methods)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(condition_name(c))}</th>'
        + "".join(_cell(estimate(results, m, section, c, metric), unit) for m in methods)
        + "</tr>"
        for c in conditions_with(results, section, metric, methods)
    )
    return f"""<h3>{escape(title)}</h3>
<p class="note">{escape(note)}</p>
<div class="scroll" role="region" aria-label="{escape(title)}" tabindex="0"><table>
<thead><tr><th scope="col">faces</th>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
"""


def _cell(figure: Estimate | None, unit: float) -> str:
    if figure is None:
        return "<td>-</td>"
    value = f"{figure.value * unit:.1f}" if unit == 100 else f"{figure.value * unit:.2f}"
    return f'<td>{value}<span class="interval">{_interval(figure, unit)}</span></td>'


def _limits(results: Results) -> str:
    items = "\n".join(f"<li>{escape(text)}</li>" for text in limits_of(results))
    return f"<section>\n<h2>What these figures show, and what they do not</h2>\n<ul>\n{items}\n</ul>\n</section>\n"


def _settings(results: Results) -> str:
    parts = []
    for key, name in (("settings", "Settings"), ("environment", "Environment"), ("seconds", "Seconds")):
        values = results.get(key)
        if isinstance(values, Mapping) and values:
            rows = "\n".join(f"<dt>{escape(_readable(k))}</dt><dd>{escape(v)}</dd>" for k, v in _flattened(values))
            parts.append(
                f"<details{' open' if key == 'settings' else ''}><summary>{name}</summary>\n<dl>\n{rows}\n</dl></details>\n"
            )
    return f"<section>\n<h2>How it was made</h2>\n{''.join(parts)}</section>\n" if parts else ""


def _foot(results: Results) -> str:
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in credits_of(results))
    return f"<footer>\n<h2>Credits and care</h2>\n{paragraphs}\n</footer>"


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


def _interval(figure: Estimate, unit: float) -> str:
    digits = 1 if unit == 100 else 2
    return f"{figure.low * unit:.{digits}f}&ndash;{figure.high * unit:.{digits}f}"


def _css(colour: tuple[int, int, int]) -> str:
    return f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"


def _data_uri(picture: Image.Image, *, jpeg: bool = False) -> str:
    data = io.BytesIO()
    if jpeg:  # photographs: a fifth of the size
        picture.save(data, "JPEG", quality=90, subsampling=0)
    else:
        picture.quantize(128).save(data, "PNG", optimize=True)
    return f"data:image/{'jpeg' if jpeg else 'png'};base64,{base64.b64encode(data.getvalue()).decode()}"
