"""Named configurations."""

from __future__ import annotations

import occmask


def lpd_r50() -> occmask.ModelConfig:
    """LPD on LResNet50E-IR: whole face and free part through one trunk, 2 x 512 numbers."""
    return occmask.MODELS["baseline_r50"]().override(part_locator="lpd")


def lpd_tiny() -> occmask.ModelConfig:
    """LPD at the size of the demo, 2 x 128 numbers."""
    return occmask.MODELS["from_tiny"]().override(head=None, part_locator="lpd")
