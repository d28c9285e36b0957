"""The operations of occmask worth a kernel of their own: Triton on NVIDIA GPUs, plain torch elsewhere.

Knows torch and Triton, never occmask.
"""

from __future__ import annotations

from ._dispatch import backend
from .margin import margin_lse, margin_lse_and_rank
from .masking import mask_apply, mask_apply_and_gate

__all__ = ["backend", "margin_lse", "margin_lse_and_rank", "mask_apply", "mask_apply_and_gate"]
