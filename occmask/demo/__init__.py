"""The demonstration: train the recipes on real faces, measure them under occlusion, show what the model believes."""

from __future__ import annotations

from .settings import DemoSettings
from .study import run_demo

__all__ = ["DemoSettings", "run_demo"]
