"""A feature map or an embedding multiplied by a mask that is given in logits."""

from __future__ import annotations

from torch import Tensor

from . import reference

__all__ = ["mask_apply"]


def mask_apply(x: Tensor, logits: Tensor, *, threshold: float | None = None) -> Tensor:
    """Multiply features by the gate that `logits` stand for.

    x: (B, C, H, W) with logits of its shape or (B, 1, H, W), one gate for all channels; or (B, D) with
    logits (B, D).  `threshold=None` is the soft gate, x * sigmoid(logits).  A threshold in (0, 1) is the
    hard gate, x where sigmoid(logits) >= threshold and 0 elsewhere; the gradient of the logits is then
    that of the soft gate (straight-through), the gradient of x is gated hard.
    Returns the shape and the type of x; half precision is computed in float32 and rounded once.
    Only x and logits are kept for the backward pass.

    Raises ValueError for shapes that do not fit, inputs that are not floating point, a threshold outside (0, 1).
    """
    if x.ndim not in (2, 4):
        raise ValueError(f"x is (B, C, H, W) or (B, D), not {tuple(x.shape)}")
    shared = (x.shape[0], 1, *x.shape[2:])
    if logits.shape != x.shape and not (x.ndim == 4 and logits.shape == shared):
        fits = f"{tuple(x.shape)} or {shared}" if x.ndim == 4 else f"{tuple(x.shape)}"
        raise ValueError(f"logits {tuple(logits.shape)} do not fit x {tuple(x.shape)}; give {fits}")
    if not (x.is_floating_point() and logits.is_floating_point()):
        raise ValueError(f"x and logits are floating point, not {x.dtype} and {logits.dtype}")
    if x.device != logits.device:
        raise ValueError(f"x and logits are on one device, not on {x.device} and {logits.device}")
    if threshold is not None and not 0 < threshold < 1:
        raise ValueError(f"threshold is None (soft gate) or strictly between 0 and 1, not {threshold!r}")
    gated: Tensor = reference.MaskApply.apply(x, logits, threshold)
    return gated
