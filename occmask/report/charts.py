"""The charts of a protocol's page: ROC, CMC, scores, accuracy against covered area, and occluder by occluder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..protocols.result import Result
from .listings import text
from .protocol_words import confidence_text, group_name, held_out_of, is_percent, metric_name, metrics_of, number
from .results import area_of
from .svg import WIDTH, Plot, floor_of, label_at, linear, logarithmic, percent_ticks, svg

_MOST_LINES = 4  # more than these in one chart cannot be told apart


def area_chart(result: Result) -> str:
    """The figures that are shares, against covered area; empty with fewer than two areas."""
    groups = sorted((g for g in result.figures if area_of(g) is not None), key=lambda g: area_of(g) or 0.0)
    metrics = [m for m in metrics_of(result) if is_percent(m) and all(m in result.figures[g] for g in groups)]
    if len(groups) < 2 or not metrics:
        return ""
    areas = [area_of(g) or 0.0 for g in groups]
    shown = {m: [result.figures[g][m] for g in groups] for m in metrics[:_MOST_LINES]}
    low = floor_of([f.low for figures in shown.values() for f in figures])
    plot = Plot(linear(min(areas), max(areas)), linear(low, 1))
    ticks = [(a, "clean" if a == 0 else f"{100 * a:.0f}") for a in areas]
    plot.axes(x=ticks, y=percent_ticks(low), x_title="covered area, % of the picture", y_title="%")
    for colour, figures in enumerate(shown.values()):
        plot.band(areas, [f.low for f in figures], [f.high for f in figures], colour=colour)
    for colour, figures in enumerate(shown.values()):
        plot.line(areas, [f.value for f in figures], colour=colour, markers=True)
    ends = ", ".join(
        f"{metric_name(m)} from {number(f[0].value, m)} to {number(f[-1].value, m)} %" for m, f in shown.items()
    )
    alt = f"Lines against covered area, from {group_name(groups[0])} to {group_name(groups[-1])}: {ends}."
    note = f"Bands: {confidence_text(result)} intervals over people. Rectangles of textures that no recipe trains on."
    return _figure("How much is covered", plot.drawn(alt), [metric_name(m) for m in shown], note)


def occluder_chart(result: Result) -> str:
    """A bar an occluder, those that training never saw apart from those it did; empty for protocols without."""
    worn = [g for g in result.settings.get("occluders", ()) if "rank1" in result.figures.get(g, {})]
    if not worn:
        return ""
    held = held_out_of(result)
    blocks = (
        ("drawn by occmask's recipes", [g for g in worn if g not in held], 0),
        ("held out of them", [g for g in worn if g in held], 1),
    )
    left, row, y = 84.0, 25.0, 8.0
    scale = (WIDTH - left - 46) / 100
    parts = []
    clean = result.figures.get("clean", {}).get("rank1")
    for heading, groups, colour in blocks:
        if not groups:
            continue
        parts.append(label_at(0, y + 10, heading, kind="axis"))
        y += 18
        top = y
        for group in sorted(groups, key=lambda g: -result.figures[g]["rank1"].value):
            figure = result.figures[group]["rank1"]
            middle, ends = y + row / 2, [left + 100 * scale * v for v in (figure.low, figure.high)]
            parts.append(label_at(left - 8, middle + 4, group_name(group), anchor="end", kind="name"))
            parts.append(
                f'<rect class="bar c{colour}" x="{left}" y="{y + 4:.1f}" width="{100 * scale * figure.value:.1f}" '
                f'height="{row - 8}" rx="2"/>'
            )
            parts.append(
                f'<path class="whisker" d="M{ends[0]:.1f} {middle}H{ends[1]:.1f}M{ends[0]:.1f} {middle - 4}v8'
                f'M{ends[1]:.1f} {middle - 4}v8"/>'
            )
            parts.append(label_at(WIDTH, middle + 4, f"{100 * figure.value:.1f}", anchor="end", kind="value"))
            y += row
        if clean is not None:
            at = left + 100 * scale * clean.value
            parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{y:.1f}"/>')
        y += 10
    told = ", ".join(f"{group_name(g)} {100 * result.figures[g]['rank1'].value:.1f}" for g in worn)
    drawn = svg(WIDTH, y, "".join(parts), f"Bars of rank-1 in percent by occluder: {told}.")
    note = (
        f"Rank-1, %, with {confidence_text(result)} intervals over people"
        + ("; the dashed line is clean faces" if clean is not None else "")
        + ". Held out: no recipe of occmask draws it in training."
    )
    return _figure("What covers it", drawn, [], note)


def roc_chart(result: Result) -> str:
    """TAR against FAR on a logarithmic axis; empty without a ROC."""
    return _rate_chart(result, "roc", "ROC", x_title="false accept rate (FAR)", y_title="true accept rate (TAR), %")


def open_set_chart(result: Result) -> str:
    """DIR against FPIR on a logarithmic axis; empty without such a curve."""
    return _rate_chart(
        result,
        "dir",
        "Open-set identification",
        x_title="strangers accepted (FPIR)",
        y_title="probes found and accepted (DIR), %",
    )


def _rate_chart(result: Result, curve: str, heading: str, *, x_title: str, y_title: str) -> str:
    groups = _some_of(result, curve)
    if not groups:
        return ""
    curves = {g: result.curves[g][curve] for g in groups}
    positive = [float(c.x[c.x > 0].min()) for c in curves.values() if (c.x > 0).any()]
    power = min(-1, math.floor(math.log10(min(positive)) + 1e-9)) if positive else -1
    plot = Plot(logarithmic(10.0**power, 1), linear(0, 1))
    every = 1 if power > -7 else 2
    plot.axes(
        x=[(10.0**p, "1" if p == 0 else f"1e{p}") for p in range(0, power - 1, -every)],
        y=percent_ticks(0),
        x_title=x_title,
        y_title=y_title,
    )
    for colour, found in enumerate(curves.values()):
        shown = found.x > 0  # no place on a logarithmic axis
        plot.line(found.x[shown].tolist(), found.y[shown].tolist(), colour=colour)
    alt = f"{heading}, on a logarithmic axis of {x_title}: {_listed(groups)}."
    return _figure(heading, plot.drawn(alt), [group_name(g) for g in groups])


def cmc_chart(result: Result) -> str:
    """The share of probes found among the first r people; empty without a CMC."""
    groups = _some_of(result, "cmc")
    if not groups:
        return ""
    curves = {g: result.curves[g]["cmc"] for g in groups}
    last = max(2.0, min(20.0, max(float(c.x[-1]) for c in curves.values())))
    low = floor_of([float(c.y.min()) for c in curves.values()])
    plot = Plot(linear(1, last), linear(low, 1))
    ticks = [1.0, *(float(r) for r in range(5, int(last) + 1, 5))] if last >= 5 else [1.0, last]
    plot.axes(x=[(r, f"{r:.0f}") for r in ticks], y=percent_ticks(low), x_title="rank", y_title="probes found, %")
    for colour, curve in enumerate(curves.values()):
        kept = curve.x <= last
        plot.line(curve.x[kept].tolist(), curve.y[kept].tolist(), colour=colour)
    alt = f"Cumulative match characteristic up to rank {last:.0f}, for {_listed(groups)}."
    return _figure("CMC", plot.drawn(alt), [group_name(g) for g in groups])


def score_charts(result: Result) -> str:
    """Histograms of genuine and impostor scores of the first group, and of the last one by covered area."""
    groups = [g for g in result.curves if {"genuine", "impostor"} <= set(result.curves[g])]
    if not groups:
        return ""
    graded = [g for g in groups if area_of(g) is not None]
    shown = [graded[0], graded[-1]] if len(graded) > 1 else groups[:1]
    pairs = [[result.curves[g][name] for name in ("genuine", "impostor")] for g in shown]
    used = [float(x) for pair in pairs for c in pair for x, y in zip(c.x, c.y, strict=True) if y > 0] or [-1.0, 1.0]
    low, high = (max(-1.0, math.floor(5 * min(used) - 0.1) / 5), min(1.0, math.ceil(5 * max(used) + 0.1) / 5))
    top = max(float(c.y.max()) for pair in pairs for c in pair) or 1.0
    figures = []
    for group, pair in zip(shown, pairs, strict=True):
        plot = Plot(linear(low, high), linear(0, 1.05 * top))
        steps = round((high - low) / 0.2)
        ticks = [low + 0.2 * n for n in range(0, steps + 1, 1 if steps <= 6 else 2)]
        plot.axes(
            x=[(t, f"{t:.1f}".replace("-0.0", "0.0")) for t in ticks],
            y=[(0.0, "0")],
            x_title="cosine similarity",
            y_title="share of pairs",
        )
        for colour, curve in reversed(list(enumerate(pair))):
            kept = (curve.x >= low) & (curve.x <= high)
            x, y = curve.x[kept].tolist(), curve.y[kept].tolist()
            plot.band(x, [0.0] * len(x), y, colour=colour)
            plot.line(x, y, colour=colour)
        alt = f"Histograms of the scores of genuine and impostor pairs, {group_name(group)}."
        name = f"Scores, {group_name(group)}" if len(groups) > 1 else "Scores"
        figures.append(_figure(name, plot.drawn(alt), ["one person", "two people"]))
    return "".join(figures)


def _some_of(result: Result, curve: str) -> list[str]:
    """The groups with such a curve: all if they are few, else the first, the last by area, and one or two between."""
    groups = [g for g in result.curves if curve in result.curves[g]]
    graded = [g for g in groups if area_of(g) is not None]
    if len(groups) <= _MOST_LINES:
        return groups
    if len(graded) < 2:
        return groups[:_MOST_LINES]
    places = np.unique(np.linspace(0, len(graded) - 1, _MOST_LINES).round().astype(int))
    return [graded[i] for i in places]


def _listed(groups: Sequence[str]) -> str:
    return ", ".join(group_name(g) for g in groups)


def _figure(heading: str, drawn: str, legend: Sequence[str], note: str = "") -> str:
    keys = "".join(f'<li><i class="c{i}"></i>{text(name)}</li>' for i, name in enumerate(legend))
    return (
        f'<figure class="plot"><h3>{text(heading)}</h3>{drawn}'
        + (f'<ul class="keys">{keys}</ul>' if legend else "")
        + (f'<figcaption class="note">{text(note)}</figcaption>' if note else "")
        + "</figure>\n"
    )
