"""Matchers compared on people nobody trained on: the same weights, the same pictures, another way to compare them."""

from __future__ import annotations

from .settings import MatcherSettings
from .study import run_matcher_comparison

__all__ = ["MatcherSettings", "run_matcher_comparison"]
