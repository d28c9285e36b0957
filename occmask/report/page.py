"""One self-contained HTML page with everything a run found, for a phone and for a desk, light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from .curves import curves_of, draw_curves, line_colour
from .document import write_document
from .figures import FacePicture, draw_pair
from .listings import interval, settings, tables, text
from .results import Results, condition_name, confidence_of, estimate, method_name, methods_of
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
    sections = (_curves(results), _faces(results, pictures), tables(results), _limits(results), settings(results))
    body = f"""{_head(results, title)}
<main>
{"".join(sections)}</main>
{_foot(results)}"""
    return write_document(path, title=title, styles=(STYLE,), body=body)


def _head(results: Results, title: str) -> str:
    version = str(results.get("occmask", "")).strip()
    sentences = "\n".join(f'<p class="lead">{text(sentence)}</p>' for sentence in summarise(results))
    return f"""<header>
<p class="kicker">{text(f"occmask {version}".strip())}, report of one run</p>
<h1>{text(title)}</h1>
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
                f'<div class="tile" style="--light: {light}; --dark: {dark}"><span>{text(method_name(method))}</span>'
                f'<b>{100 * figure.value:.1f} %</b><span class="interval">{interval(figure, 100)} %</span></div>'
            )
    if not tiles or condition is None:
        return ""
    note = f"Rank-1 at {condition_name(condition)}: share of faces named correctly; {confidence_of(results)} intervals."
    return f'<div class="tiles">\n{"".join(tiles)}\n</div>\n<p class="note">{text(note)}</p>\n'


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
    notes = "\n".join(f"<li>{text(note)}</li>" for note in method_notes([s.method for s in series]))
    return f"""<section>
<h2>Rank-1 against covered area</h2>
<figure class="chart"><picture>
<source media="(max-width: 40rem) and (prefers-color-scheme: dark)" srcset="{drawn[True, True]}">
<source media="(max-width: 40rem)" srcset="{drawn[True, False]}">
<source media="(prefers-color-scheme: dark)" srcset="{drawn[False, True]}">
<img src="{drawn[False, False]}" alt="{text(alt)}" width="{_WIDE[0]}" height="{_WIDE[1]}">
</picture>
<figcaption class="note">Bands: {text(confidence_of(results))} bootstrap intervals over people.
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
        f'<figure><img src="{_data_uri(draw_pair(p, scale=2), jpeg=True)}" alt="{text(_face_alt(p))}" '
        f'width="{2 * p.image.shape[1]}" height="{4 * p.image.shape[0] + 2}">'
        f"<figcaption>{text(p.title)}<small>{text(p.subtitle)}</small></figcaption></figure>"
        for p in pictures
    )
    k = len(pictures[0].cells)
    true = (
        '\n<li><i class="true"></i>what really is covered</li>' if any(p.true_box is not None for p in pictures) else ""
    )
    return f"""<section>
<h2>What the model believes is covered</h2>
<p>Above, the face as the model got it. Below, its answer on a grid of {k} x {k} cells: the ones it believes to be
covered are orange, and the surer it is of a cell the stronger. Right and wrong answers are shown alike.</p>
<ul class="legend">
<li><i class="sure"></i>believed covered: the stronger, the surer</li>
<li><i class="said"></i>the model's box</li>{true}
</ul>
<div class="faces">
{figures}
</div>
</section>
"""


def _face_alt(picture: FacePicture) -> str:
    covered = int(picture.believed.sum())
    answer = (
        f"the model marks {covered} of {picture.cells.size} cells as covered" if covered else "the model marks nothing"
    )
    told = ", ".join(part for part in (picture.title, picture.subtitle) if part)
    return f"A face{f' ({told})' if told else ''}, plain and with the answer: {answer}."


def _limits(results: Results) -> str:
    items = "\n".join(f"<li>{text(line)}</li>" for line in limits_of(results))
    return f"<section>\n<h2>What these figures show, and what they do not</h2>\n<ul>\n{items}\n</ul>\n</section>\n"


def _foot(results: Results) -> str:
    paragraphs = "\n".join(f"<p>{text(line)}</p>" for line in credits_of(results))
    return f"<footer>\n<h2>Credits and care</h2>\n{paragraphs}\n</footer>"


def _css(colour: tuple[int, int, int]) -> str:
    return f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"


def _data_uri(picture: Image.Image, *, jpeg: bool = False) -> str:
    data = io.BytesIO()
    if jpeg:  # photographs: a fifth of the size
        picture.save(data, "JPEG", quality=90, subsampling=0)
    else:
        picture.quantize(128).save(data, "PNG", optimize=True)
    return f"data:image/{'jpeg' if jpeg else 'png'};base64,{base64.b64encode(data.getvalue()).decode()}"
