"""The operations of occmask worth a kernel of their own, each in plain torch. Knows torch, never occmask."""

from __future__ import annotations

from .margin import margin_lse
from .masking import mask_apply, mask_apply_and_gate

__all__ = ["margin_lse", "mask_apply", "mask_apply_and_gate"]
