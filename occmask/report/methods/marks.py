"""Marks of the page of methods: shapes on lines, signs of better and worse in cells, and how figures are written."""

from __future__ import annotations

import math

from ...evaluation.metrics import Estimate
from ..listings import text
from .data import BETTER, WORSE

_CORNERS = ((0, 0), (4, 45), (3, -90), (4, 0), (3, 90))  # of each shape, and its turn in degrees; 0: a disc
_SIGNS = {BETTER: "&#9650;", WORSE: "&#9660;"}


def marker(x: float, y: float, shape: int, style: str) -> str:
    """A small filled shape; from the sixth shape on they are hollow."""
    corners, turn = _CORNERS[shape % len(_CORNERS)]
    kind = f"dot {style}" if shape // len(_CORNERS) % 2 == 0 else f"dot hollow {style}"
    if not corners:
        return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.9"/>'
    angles = [math.radians(turn + 360 * i / corners) for i in range(corners)]
    points = "L".join(f"{x + 4.9 * math.cos(a):.1f} {y + 4.9 * math.sin(a):.1f}" for a in angles)
    return f'<path class="{kind}" d="M{points}Z"/>'


def sign(verdict: str | None, *, against: str) -> str:
    """A triangle up or down as HTML, read out as "better than ..."; empty for a tie."""
    if verdict not in _SIGNS:
        return ""
    words = text(f"{verdict} than {against}")
    return f'<b class="sign {verdict}" role="img" aria-label="{words}" title="{words}">{_SIGNS[verdict]}</b>'


def shortened(words: str, longest: int) -> str:
    """The words, cut to so many letters with dots at their end."""
    return words if len(words) <= longest else f"{words[: longest - 2]}.."


def points_text(share: float) -> str:
    """`0.031` -> `"+3.1"`: percentage points with their sign; nought has none."""
    told = f"{100 * share:+.1f}"
    return "0.0" if float(told) == 0 else told


def three_digits(figure: Estimate) -> tuple[str, str, str]:
    """A figure and its interval with as many decimals as give the figure three digits: `12.3`, `12.0`, `12.6`."""
    decimals = 2 if figure.value <= 0 else min(4, max(0, 2 - math.floor(math.log10(figure.value))))
    value, low, high = (f"{x:.{decimals}f}" for x in figure)
    return value, low, high


def ticks_between(low: float, high: float, *, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, so that there are about `most` at most."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(m * power for m in (1, 2, 5, 10) if (high - low) / (m * power) <= most)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
