"""What figures are called in results."""

from __future__ import annotations


def at_far(metric: str, far: float) -> str:
    """A figure at a false accept rate: "tar", 0.0001 -> "tar@1e-4"."""
    mantissa, exponent = f"{far:.5e}".split("e")
    return f"{metric}@{float(mantissa):g}e{int(exponent)}"
