"""Named models with MSML's refiner; each a function returning a `ModelConfig`."""

from __future__ import annotations

import occmask


def msml_tiny() -> occmask.ModelConfig:
    """MSML at the size of the demo: trains in minutes on a CPU."""
    return _with_msml("from_tiny")


def msml_r18() -> occmask.ModelConfig:
    """MSML on LResNet18E-IR, with the published ResNet-18 branch."""
    return _with_msml("from_r18", widths=PUBLISHED_WIDTHS, depth=2, mask_width=None)


def msml_r50() -> occmask.ModelConfig:
    """MSML on LResNet50E-IR, with the published ResNet-18 branch."""
    return _with_msml("from_r50", widths=PUBLISHED_WIDTHS, depth=2, mask_width=None)


PUBLISHED_WIDTHS = (64, 64, 128, 256, 512)


def _with_msml(base: str, **options: object) -> occmask.ModelConfig:
    return occmask.MODELS[base]().override(head=None, refiner=occmask.Spec("msml", **options))
