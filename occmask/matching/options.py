"""Checks of the options that several matchers take."""

from __future__ import annotations

from ..errors import OptionError


def check_sharpness(matcher: str, sharpness: float) -> float:
    """A number above 0, or `OptionError`."""
    if isinstance(sharpness, bool) or not isinstance(sharpness, (int, float)) or not 0 < sharpness <= 16:
        raise OptionError(
            f"matcher {matcher!r}: sharpness lies in (0, 16], and 1 leaves things as they are, not {sharpness!r}"
        )
    return float(sharpness)


def check_share(matcher: str, option: str, share: float) -> float:
    """A number in [0, 1], or `OptionError`."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise OptionError(f"matcher {matcher!r}: {option} lies in [0, 1], not {share!r}")
    return float(share)
