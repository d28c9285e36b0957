"""False accept rates: which of them a number of impostors resolves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import OptionError, ProtocolError
from .figure_names import at_far
from .metrics import check_far

MIN_FALSE_ACCEPTS = 10  # fewer impostors than this above the threshold make a TAR a matter of luck
USUAL_FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def check_fars(fars: Sequence[float] | None) -> tuple[float, ...] | None:
    """FARs strictly between 0 and 1 (`ProtocolError`), or None: those that the impostors resolve.

    Raises `OptionError` for what is no list of them.
    """
    if isinstance(fars, str) or not isinstance(fars, Sequence | None):
        raise OptionError(f"fars is a list of false accept rates, such as [1e-3], not {fars!r}")
    for far in fars or ():
        check_far(far)
    return None if fars is None else tuple(float(far) for far in fars)


def check_resolvable(fars: Sequence[float], num_impostor: int, *, of: str = "impostor pairs") -> None:
    """`ProtocolError` for a FAR at which fewer than 10 impostors would pass; `of`: what the impostors are."""
    for far in fars:
        if not _resolves(num_impostor, far):
            raise ProtocolError(_unresolvable(far, num_impostor, of))


def resolvable_fars(num_impostor: int) -> tuple[float, ...]:
    """Those of 1e-1, 1e-2, ... 1e-6 that so many impostor pairs resolve."""
    return tuple(far for far in USUAL_FARS if _resolves(num_impostor, far))


def about_unresolvable(num_impostor: int) -> str | None:
    """A note on the usual FARs that so many impostor pairs do not resolve; None when they resolve all of them."""
    left_out = USUAL_FARS[len(resolvable_fars(num_impostor)) :]
    if not left_out:
        return None
    return (
        f"{at_far('tar', left_out[0])} and below are left out: {num_impostor} impostor pairs do not resolve them, for "
        f"at least {MIN_FALSE_ACCEPTS} must pass"
    )


def _resolves(num_impostor: int, far: float) -> bool:
    return num_impostor * far * (1 + 1e-12) >= MIN_FALSE_ACCEPTS


def _unresolvable(far: float, num_impostor: int, of: str) -> str:
    problem = f"{num_impostor} {of} cannot resolve FAR {far:g}: only {far * num_impostor:.3g} of them would pass"
    if num_impostor <= MIN_FALSE_ACCEPTS:
        return f"{problem}; no FAR can be resolved with fewer than {MIN_FALSE_ACCEPTS + 1} {of}"
    smallest = MIN_FALSE_ACCEPTS / num_impostor
    digits = 10.0 ** (math.floor(math.log10(smallest)) - 2)
    return (
        f"{problem}, and {MIN_FALSE_ACCEPTS} are needed; the smallest FAR they resolve is "
        f"{math.ceil(smallest / digits) * digits:.3g}"
    )
