"""The comparison: every method on the same data, seeds and budget, and what they differ by."""

from __future__ import annotations

from .settings import ComparisonSettings
from .study import run_comparison

__all__ = ["ComparisonSettings", "run_comparison"]
