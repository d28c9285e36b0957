"""Latent part detection for masked faces (Ding et al., ACM MM 2020): look once more at what a face mask leaves free."""

from __future__ import annotations

from .locator import LatentPart
from .nose_line import NOSE_LINE, free_height
from .objective import LpdObjective

__all__ = ["NOSE_LINE", "LatentPart", "LpdObjective", "free_height"]
