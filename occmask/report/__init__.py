"""Reports: results and pictures -> figures, a page and a table for people. Takes plain data, never models."""

from __future__ import annotations

from .coverage_picture import CoveragePicture, draw_coverage, draw_coverage_sheet
from .curves import Series, curves_of, draw_curves
from .figures import FacePicture, draw_face, draw_occlusions
from .page import write_report
from .reliability_picture import ReliabilityPanel, draw_reliability
from .table import format_table

__all__ = [
    "CoveragePicture",
    "FacePicture",
    "ReliabilityPanel",
    "Series",
    "curves_of",
    "draw_coverage",
    "draw_coverage_sheet",
    "draw_curves",
    "draw_face",
    "draw_occlusions",
    "draw_reliability",
    "format_table",
    "write_report",
]
