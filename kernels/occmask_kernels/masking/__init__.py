"""A feature map or an embedding multiplied by a mask that is given in logits."""

from __future__ import annotations

from torch import Tensor

from .._dispatch import use_triton
from . import reference

__all__ = ["mask_apply", "mask_apply_and_gate"]


def mask_apply(x: Tensor, logits: Tensor, *, threshold: float | None = None) -> Tensor:
    """Multiply features by the gate that `logits` stand for.

    x: (B, C, H, W) with logits of its shape or (B, 1, H, W), one gate for all channels; or (B, D) with
    logits (B, D).  `threshold=None` is the soft gate, x * sigmoid(logits).  A threshold in (0, 1) is the
    hard gate, x where sigmoid(logits) >= threshold and 0 elsewhere; the gradient of the logits is then
    that of the soft gate (straight-through), the gradient of x is gated hard.
    Returns the shape, the type and the memory format of x; half precision is computed in float32 and
    rounded once.  The kernels keep x and logits alone for the backward pass and compute the gate again in it; a
    CPU, which reads sooner than it computes, keeps the soft gate too, unless it is half precision.
    Differentiable twice in plain torch (`backend("torch")`), once in the kernels.

    Raises ValueError for shapes that do not fit, inputs that are not floating point, a threshold outside (0, 1).
    """
    _check(x, logits, threshold)
    if use_triton(x, logits):
        from . import op

        gated: Tensor = op.mask_apply(x, logits, threshold)
        return gated
    return reference.mask_apply(x, logits, threshold)


def mask_apply_and_gate(x: Tensor, logits: Tensor, *, threshold: float | None = None) -> tuple[Tensor, Tensor]:
    """`mask_apply`, and the soft gate it used: what training feeds to the head and to the pattern predictor.

    Arguments and errors as for `mask_apply`.  Returns gated, in the shape of x, and gate = sigmoid(logits) in the
    shape of logits, both in the type of x.  The gate is the soft one whatever `threshold` says.  One pass writes both,
    and one backward pass takes the gradients of both; either may be missing.
    """
    _check(x, logits, threshold)
    if use_triton(x, logits):
        from . import op

        gated, gate = op.mask_apply_and_gate(x, logits, threshold)
        return gated, gate
    return reference.mask_apply_and_gate(x, logits, threshold)


def _check(x: Tensor, logits: Tensor, threshold: float | None) -> None:
    if logits.shape != x.shape or x.ndim not in (2, 4):
        _check_shapes(x, logits)
    if not (x.is_floating_point() and logits.is_floating_point()):
        raise ValueError(f"x and logits are floating point, not {x.dtype} and {logits.dtype}")
    if x.device != logits.device:
        raise ValueError(f"x and logits are on one device, not on {x.device} and {logits.device}")
    if threshold is not None and not 0 < threshold < 1:
        raise ValueError(f"threshold is None (soft gate) or strictly between 0 and 1, not {threshold!r}")


def _check_shapes(x: Tensor, logits: Tensor) -> None:
    if x.ndim not in (2, 4):
        raise ValueError(f"x is (B, C, H, W) or (B, D), not {tuple(x.shape)}")
    shared = (x.shape[0], 1, *x.shape[2:])
    if x.ndim != 4 or logits.shape != shared:
        fits = f"{tuple(x.shape)} or {shared}" if x.ndim == 4 else f"{tuple(x.shape)}"
        raise ValueError(f"logits {tuple(logits.shape)} do not fit x {tuple(x.shape)}; give {fits}")
