"""The chart of error against reject: what leaving out poor faces gains, for each quality score."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..errors import DataError
from ..evaluation.rejection import RejectionCurve, rejection_gain
from .listings import text
from .svg import Plot, linear

_MOST_LINES = 4  # more than these in one chart cannot be told apart
_POINTS = 101


def rejection_chart(curves: Mapping[str, RejectionCurve], *, up_to: float = 0.5) -> str:
    """A figure in HTML: FNMR against the rejected share, a line for each quality score by its name.

    The shaded area is that of a score which rejects the false non-matches first.  The curves are those of one set of
    comparisons, so they begin at one error.  Raises `DataError` for none, more than four, or curves of other
    comparisons, and `OptionError` for `up_to`, the largest rejected share.
    """
    if not 0 < len(curves) <= _MOST_LINES:
        raise DataError(f"one to {_MOST_LINES} curves of error against reject can be told apart, not {len(curves)}")
    first = next(iter(curves.values()))
    if any(abs(curve.error - first.error) > 1e-9 for curve in curves.values()):
        raise DataError("these curves begin at different errors, so they are not of the same comparisons")
    gains = {name: rejection_gain(curve, up_to=up_to) for name, curve in curves.items()}
    share = np.linspace(0, up_to, _POINTS)
    drawn = {name: curve.at(share) for name, curve in curves.items()}
    top = max(0.01, max(float(errors.max()) for errors in drawn.values()))
    step = _step(top)
    highest = math.ceil(top / step - 1e-9) * step
    plot = Plot(linear(0, up_to), linear(0, highest))
    plot.axes(
        x=[(up_to * n / 5, f"{100 * up_to * n / 5:.0f}") for n in range(6)],
        y=[(n * step, f"{100 * n * step:g}") for n in range(round(highest / step) + 1)],
        x_title="comparisons rejected, %",
        y_title="false non-match rate, %",
    )
    plot.band(share.tolist(), [0.0] * _POINTS, first.ideal(share).tolist(), colour=0)
    for colour, errors in enumerate(drawn.values()):
        plot.line(share.tolist(), errors.tolist(), colour=colour)
    told = ", ".join(
        f"{name} from {100 * curve.error:.1f} to {100 * float(drawn[name][-1]):.1f} %" for name, curve in curves.items()
    )
    keys = "".join(
        f'<li><i class="c{i}"></i>{text(name)}: {100 * gains[name].gain:.0f} % of the ideal gain</li>'
        for i, name in enumerate(curves)
    )
    return (
        f'<figure class="plot"><h3>Error against reject</h3>'
        f"{plot.drawn(f'Lines of the false non-match rate against the rejected share: {told}.')}"
        f'<ul class="keys">{keys}</ul>'
        '<figcaption class="note">At one threshold. The shaded area lies under the curve of a score that rejects the '
        "false non-matches first.</figcaption></figure>\n"
    )


def _step(top: float) -> float:
    """Between two rules: 1, 2 or 5 times a power of ten, so that there are at most five."""
    power: float = 10.0 ** math.floor(math.log10(top))
    return next(power * n for n in (0.2, 0.5, 1, 2) if top / (power * n) <= 5)
