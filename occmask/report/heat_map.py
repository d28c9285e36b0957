"""What covering each place costs: a grid over a faint drawing of a face."""

from __future__ import annotations

from collections.abc import Mapping

from ..evaluation.metrics import FloatArray
from ..protocols.result import Result
from .listings import text
from .protocol_words import confidence_text, metric_name
from .svg import label_at, svg

_WIDTH = 330.0
# A face where alignment puts one: eyes, nose and mouth of the ArcFace template, as shares of a 112x96 picture.
_FACE = (
    '<path d="M{l} {b}C{l} {c} {l} {t} .5 {t}S{r} {c} {r} {b}C{r} .8 .68 .985 .5 .985S{l} .8 {l} {b}Z"/>'
    '<path d="M.235 .455Q.32 .395 .405 .455Q.32 .5 .235 .455Z"/>'
    '<path d="M.595 .455Q.68 .395 .765 .455Q.68 .5 .595 .455Z"/>'
    '<circle cx=".32" cy=".452" r=".026"/><circle cx=".68" cy=".452" r=".026"/>'
    '<path d="M.21 .375Q.315 .315 .42 .365"/><path d="M.58 .365Q.685 .315 .79 .375"/>'
    '<path d="M.47 .46Q.465 .56 .43 .63Q.44 .665 .5 .665Q.56 .665 .57 .63"/>'
    '<path d="M.35 .8Q.43 .765 .5 .78Q.57 .765 .65 .8Q.5 .875 .35 .8Z"/><path d="M.35 .8Q.5 .815 .65 .8"/>'
).format(l=".09", r=".91", t=".06", c=".2", b=".47")


def heat_maps(result: Result) -> str:
    """Every map of the result, side by side where there is room; empty without maps."""
    return "".join(_map(result, metric, found) for metric, found in result.maps.items() if "fall" in found)


def _map(result: Result, metric: str, found: Mapping[str, FloatArray]) -> str:
    fall = found["fall"]
    shares = metric != "cosine"
    unit, digits = (100.0, 1) if shares else (1.0, 3)
    sure = (found["low"] > 0) | (found["high"] < 0) if {"low", "high"} <= set(found) else fall == fall
    height, width = result.data.get("size") or (112, 96)
    rows, columns = fall.shape
    tall, wide = _WIDTH * height / width / rows, _WIDTH / columns
    most = max(float(fall.max()), 1e-9)
    parts, numbers = [], []
    for row in range(rows):
        for column in range(columns):
            value = float(fall[row, column])
            parts.append(
                f'<rect class="cell" x="{column * wide + 1:.1f}" y="{row * tall + 1:.1f}" width="{wide - 2:.1f}" '
                f'height="{tall - 2:.1f}" rx="3" style="--v:{max(0.0, value) / most:.3f}"/>'
            )
            words = f"{unit * value:.{digits}f}"
            kind = "cost" if sure[row, column] else "cost unsure"
            shown = words.lstrip("-") if float(words) == 0 else words
            numbers.append(label_at((column + 0.5) * wide, (row + 0.5) * tall + 6, shown, anchor="middle", kind=kind))
    face = (
        f'<g class="face" transform="scale({_WIDTH:.1f} {rows * tall:.1f})" '
        f'vector-effect="non-scaling-stroke">{_FACE}</g>'
    )
    name = f"{metric_name(metric)}, percentage points lost" if shares else f"{metric_name(metric)} lost"
    worst = divmod(int(fall.argmax()), columns)
    alt = (
        f"A grid of {rows} x {columns} cells over a face: what covering each costs in {metric_name(metric)}. The most, "
        f"{unit * fall.max():.{digits}f}, in row {worst[0] + 1}, column {worst[1] + 1}."
    )
    drawn = svg(_WIDTH, rows * tall, "".join(parts) + face + "".join(numbers), alt)
    scale = f"<span>0</span><i></i><span>{unit * most:.{digits}f}</span>"
    block = _block(result.settings.get("block"), height / width)
    return (
        f'<figure class="plot map"><h3>{text(name[:1].upper() + name[1:])}</h3>{drawn}'
        f'<div class="ramp">{block}{scale}</div></figure>\n'
    )


def _block(share: object, aspect: float) -> str:
    """A picture in small with the block in its middle, so that its size can be seen."""
    if not isinstance(share, (int, float)):
        return ""
    width, height = 24.0, 24.0 * aspect
    block = (
        f'<rect class="block" x="{(1 - share) / 2 * width:.1f}" y="{(1 - share) / 2 * height:.1f}" '
        f'width="{share * width:.1f}" height="{share * height:.1f}"/>'
    )
    frame = f'<rect class="frame" x=".5" y=".5" width="{width - 1:.1f}" height="{height - 1:.1f}" rx="2"/>'
    drawn = svg(width, height, frame + block, "The block, beside the whole picture.")
    return f'<span class="size">{drawn}</span><span>block</span>'


def map_note(result: Result) -> str:
    """How to read the maps."""
    block = result.settings.get("block")
    hidden = f"a block over {100 * float(block):g} % of each side" if block else "a block"
    return (
        f"Each number is what {hidden}, centred on that cell, costs on the same probes. Pale numbers: the "
        f"{confidence_text(result)} interval over people includes zero. The face is drawn for orientation only."
    )
