"""What the options of a margin must be; each error names the option and a value that works."""

from __future__ import annotations

import math

from ..errors import OptionError


def number(option: str, value: object) -> float:
    """The value, if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise OptionError(f"option {option!r} is a finite number such as 0.5, not {value!r}")
    return float(value)


def factor_of_angle(option: str, value: object) -> float:
    """The value, if an angle can be multiplied by it."""
    found = number(option, value)
    if found <= 0:
        raise OptionError(f"option {option!r} multiplies the angle and is above 0 (1 changes nothing), not {value!r}")
    return found


def at_least_zero(option: str, value: object) -> float:
    """The value, if it is a finite number that is not negative."""
    found = number(option, value)
    if found < 0:
        raise OptionError(f"option {option!r} is 0 or more, such as 0.05, not {value!r}")
    return found


def share(option: str, value: object) -> float:
    """The value, if it lies in (0, 1]: the part of a running mean that each batch renews."""
    found = number(option, value)
    if not 0 < found <= 1:
        raise OptionError(f"option {option!r} is the share that a batch renews, in (0, 1], not {value!r}")
    return found


def flag(option: str, value: object) -> bool:
    """The value, if it is True or False."""
    if not isinstance(value, bool):
        raise OptionError(f"option {option!r} is True or False, not {value!r}")
    return value
