"""What the page shows of a comparison, as HTML: headline, the grid of places, believed covers, scores, regions."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from ..images.pixels import Pixels
from .comparing import Comparison, FloatArray, Places, Side
from .pictures import as_url

MATCHER_WORDS = {
    "cosine": "the whole faces, covers and all",
    "visible_cosine": "each face by what it shows itself",
    "joint": "both faces by what both show",
    "parts": "place by place, by what both show",
    "fused": "the mean of visible_cosine and parts",
}
NO_SIGHT = (
    "This model does not say what is covered, so every place counts as seen. "
    "occmask.attach(model, 'occupancy') gives it a head to train."
)
NO_PARTS = "This model's embedding has no parts, so every matcher falls back to the plain cosine."
_COVER_COLOUR = (214, 69, 65)
_SEEN_TOO_LITTLE = 0.02  # of a place, on both faces: nothing is drawn there


def headline(found: Comparison, matcher: str) -> str:
    """The story in two sentences."""
    score, before = found.scores[matcher], found.uncovered[matcher]
    if found.sees and found.places is not None:
        seen = [1 - (side.believed or 0.0) for side in (found.first, found.second)]
        both = float(found.places.shared.mean())
        said = (
            f"The model sees <b>{_percent(seen[0])}</b> of face 1 and <b>{_percent(seen[1])}</b> of face 2; "
            f"<b>{_percent(both)}</b> shows on both."
        )
    else:
        said = escape(NO_SIGHT if not found.sees else NO_PARTS)
    fall = score - before
    moved = f" Without the covers: {before:.2f}." if abs(fall) >= 0.005 else ""
    return (
        f'<div class="om-headline"><div class="om-score"><span>{escape(matcher)}</span>'
        f"<strong>{score:.2f}</strong></div><p>{said}{moved}</p></div>"
    )


def scores(found: Comparison, matcher: str) -> str:
    """A bar a matcher, with a mark where the score stood without the covers."""
    rows = []
    for name, score in found.scores.items():
        before = found.uncovered[name]
        chosen = " om-chosen" if name == matcher else ""
        words = MATCHER_WORDS.get(name, "of a plug-in")
        change = score - before
        moved = f"{change:+.2f}" if abs(change) >= 0.005 else "&nbsp;"
        rows.append(
            f'<div class="om-row{chosen}"><div class="om-name"><b>{escape(name)}</b><span>{escape(words)}</span></div>'
            f'<div class="om-track" role="img" aria-label="{escape(name)} {score:.2f}, without covers {before:.2f}">'
            f'<i class="om-bar" style="width:{_share(score)}"></i>'
            f'<i class="om-tick" style="left:{_share(before)}"></i></div>'
            f'<div class="om-value"><b>{score:.2f}</b><span>{moved}</span></div></div>'
        )
    words = "without the covers. Bars run from 0 to 1."
    key = f'<p class="om-key om-line"><i class="om-tick-key"></i><span>{words}</span></p>'
    note = "" if found.sees else f'<p class="om-key">{escape(NO_SIGHT)}</p>'
    return f'<section class="om-card om-scores"><h3>How alike they are</h3>{"".join(rows)}{key}{note}</section>'


def details(found: Comparison, matcher: str) -> str:
    """Both faces with what the model believes is covered, the scores of every matcher, and the regions of the face."""
    cards = _belief("Face 1", found.first) + _belief("Face 2", found.second) + scores(found, matcher)
    return f'<div class="om-grid">{cards}</div>{_regions(found.first.regions, found.second.regions)}'


def _belief(title: str, side: Side) -> str:
    picture = f'<img src="{as_url(side.image)}" alt="{escape(title)} as the model sees it">'
    if side.coverage is None:
        said = "The model does not look for covers."
        over = ""
    else:
        over = f'<img class="om-over" src="{as_url(coverage_overlay(side.coverage))}" alt="">'
        if side.box is not None and side.box.any():
            x0, y0, x1, y1 = (100 * float(edge) for edge in side.box)
            edges = f"left:{x0:.1f}%;top:{y0:.1f}%;width:{x1 - x0:.1f}%;height:{y1 - y0:.1f}%"
            over += f'<i class="om-box" style="{edges}"></i>'
        said = f"Believed: <b>{_percent(side.believed or 0.0)}</b>. Your covers: <b>{_percent(side.put)}</b>."
    key = (
        '<span class="om-swatch om-red"></span> believed covered <span class="om-swatch om-dash"></span> likeliest box'
    )
    return (
        f'<section class="om-card"><h3>{escape(title)}: what is covered?</h3>'
        f'<div class="om-face" style="{_aspect(side.image)}">{picture}{over}</div>'
        f'<p>{said}</p><p class="om-key">{key}</p></section>'
    )


def coverage_overlay(coverage: FloatArray) -> Pixels:
    """The believed covered share of each cell as red pixels (h, w, 4), the surer the more opaque."""
    out = np.empty((*coverage.shape, 4), np.uint8)
    out[..., :3] = _COVER_COLOUR
    out[..., 3] = np.round(np.clip(coverage, 0, 1) * 190)
    return out


def places(found: Comparison) -> str:
    """The grid of places over both faces, with its legend."""
    title = "<h3>What both faces show</h3>"
    if found.places is None:
        return f'<section class="om-card">{title}<p>{escape(NO_PARTS)}</p></section>'
    mean = (found.first.image.astype(np.uint16) + found.second.image) // 2
    ground = f'<img class="om-faint" src="{as_url(mean.astype(np.uint8))}" alt="">'
    rows, columns = found.places.cosine.shape
    drawn = (
        f'<svg viewBox="0 0 {columns} {rows}" preserveAspectRatio="none" role="img" '
        f'aria-label="A grid of {rows} x {columns} places">{place_squares(found.places)}</svg>'
    )
    weight = found.places.shared.sum()
    mean_cosine = found.places.agreement.sum() / weight if weight > 1e-6 else 0.0
    said = f"Mean agreement where both are seen: <b>{mean_cosine:.2f}</b>."
    key = (
        '<span>differ</span><span class="om-ramp"></span><span>agree</span>'
        '<span class="om-sizes"><i></i><i></i></span><span>size: how much of it both show</span>'
    )
    return (
        f'<section class="om-card">{title}<div class="om-face om-places" style="{_aspect(mean)}">{ground}{drawn}</div>'
        f'<p>{said}</p><p class="om-key">{key}</p></section>'
    )


def place_squares(places: Places) -> str:
    """A square a place: as large as it is seen on both faces, blue where the parts agree, orange where they differ."""
    squares = []
    for (row, column), shared in np.ndenumerate(places.shared):
        cosine = float(places.cosine[row, column])
        words = f"row {row + 1}, column {column + 1}: both show {_percent(float(shared))}, cosine {cosine:.2f}"
        if shared < _SEEN_TOO_LITTLE:
            squares.append(
                f'<circle class="om-unseen" cx="{column + 0.5}" cy="{row + 0.5}" r=".06">'
                f"<title>{words}</title></circle>"
            )
            continue
        side = 0.92 * float(np.sqrt(min(1.0, shared)))
        squares.append(
            f'<rect x="{column + (1 - side) / 2:.3f}" y="{row + (1 - side) / 2:.3f}" width="{side:.3f}" '
            f'height="{side:.3f}" rx=".06" fill="{agreement_colour(cosine)}"><title>{words}</title></rect>'
        )
    return "".join(squares)


def agreement_colour(cosine: float) -> str:
    """Orange at -0.5 and below, grey at 0, blue at 1: told apart by the colour-blind too."""
    ends = ((217, 119, 6), (203, 208, 216), (29, 78, 216))
    at = max(-1.0, 2 * cosine) if cosine < 0 else min(1.0, cosine)
    low, high = (ends[1], ends[0]) if at < 0 else (ends[1], ends[2])
    mixed = (round(a + (b - a) * abs(at)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _regions(first: Mapping[str, float] | None, second: Mapping[str, float] | None) -> str:
    if first is None or second is None:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{_cell(first[name])}{_cell(second[name])}</tr>' for name in first
    )
    return (
        '<section class="om-card om-regions"><h3>Covered, by region of the face</h3><table><thead><tr><th></th>'
        f'<th scope="col">Face 1</th><th scope="col">Face 2</th></tr></thead><tbody>{rows}</tbody></table>'
        '<p class="om-key">As the model believes. Left and right are those of the picture.</p></section>'
    )


def _cell(share: float) -> str:
    return (
        f'<td><span class="om-mini"><i style="width:{_share(share)}"></i></span>'
        f'<span class="om-percent">{_percent(share)}</span></td>'
    )


def _aspect(image: Pixels) -> str:
    return f"aspect-ratio:{image.shape[1]}/{image.shape[0]}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _share(value: float) -> str:
    return f"{100 * min(1.0, max(0.0, value)):.1f}%"
