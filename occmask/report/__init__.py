"""Reports: results and pictures -> figures, a page and a table for people. Takes plain data, never models."""

from __future__ import annotations

from .curves import Series, curves_of, draw_curves
from .figures import FacePicture, draw_face, draw_occlusions
from .page import write_report
from .table import format_table

__all__ = [
    "FacePicture",
    "Series",
    "curves_of",
    "draw_curves",
    "draw_face",
    "draw_occlusions",
    "format_table",
    "write_report",
]
