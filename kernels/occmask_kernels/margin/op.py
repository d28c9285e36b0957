"""torch's view of `margin_lse`: one operator forward, one backward, opaque to torch.compile on every device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import reference
from .precision import OPERAND, TILE, aligned_width, padded_width, working_dtype


@torch.library.custom_op("occmask::margin_lse", mutates_args=())
def margin_lse(
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: Tensor,
    classes: Tensor | None,
    precision: str,
    triton: bool,
    bounded: bool,
    cached: int,
    ranked: bool,
    keep: bool,
    chunk: int,
) -> tuple[Tensor, Tensor, Tensor, list[Tensor], Tensor, Tensor]:
    """-> log_neg, cos_target, rank, and what the backward pass saves work by: tiles, unit_weight, inverse_length."""
    settings: dict[str, Any] = {"precision": precision, "bounded": bounded, "cached": cached, "ranked": ranked}
    if triton:
        from . import fused

        return fused.forward(embedding, weight, label, scale, classes, **settings, keep=keep)
    found = reference.forward(embedding, weight, label, scale, classes, **settings, chunk=chunk)
    nothing = embedding.new_empty(0, dtype=torch.float32)
    return (*found, nothing, nothing.clone())


@margin_lse.register_fake
def _(embedding, weight, label, scale, classes, precision, triton, bounded, cached, ranked, keep, chunk):  # type: ignore[no-untyped-def]
    dtype, rows = working_dtype(embedding, weight), embedding.shape[0]
    num_classes = (weight if classes is None else classes).shape[0]
    kept = triton and keep
    if triton:
        widths = [aligned_width(cached)] if cached else []
    else:
        widths = [min(chunk, num_classes - start) for start in range(0, cached, chunk)]
    vector = embedding.new_empty(rows, dtype=dtype)
    tile_dtype = dtype if dtype == torch.float64 else TILE[precision]
    return (
        vector,
        torch.empty_like(vector),
        label.new_empty(rows if ranked else 0),
        [embedding.new_empty(rows, width, dtype=tile_dtype) for width in widths],
        embedding.new_empty(
            (num_classes, padded_width(embedding.shape[1])) if kept else (0,),
            dtype=OPERAND[precision] if kept else torch.float32,
        ),
        embedding.new_empty(num_classes if kept else 0, dtype=torch.float32),
    )


@torch.library.custom_op("occmask::margin_lse_backward", mutates_args=())
def margin_lse_backward(
    grad_log_neg: Tensor,
    grad_cos_target: Tensor,
    embedding: Tensor,
    weight: Tensor,
    label: Tensor,
    scale: Tensor,
    classes: Tensor | None,
    log_neg: Tensor,
    cos_target: Tensor,
    tiles: list[Tensor],
    unit_weight: Tensor,
    inverse_length: Tensor,
    precision: str,
    triton: bool,
    chunk: int,
    wants_weight: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """-> gradients of embedding (N, D), of the rows of `weight` that took part (M, D) or (0, D), and of scale ()."""
    inputs = (grad_log_neg, grad_cos_target, embedding, weight, label, scale, classes)
    if triton:
        from . import fused

        return fused.backward(
            *inputs,
            log_neg,
            cos_target,
            tiles,
            unit_weight,
            inverse_length,
            precision=precision,
            wants_weight=wants_weight,
        )
    found = reference.Forward(log_neg, cos_target, label, tiles)
    return reference.backward(*inputs, found, precision=precision, chunk=chunk, wants_weight=wants_weight)


@margin_lse_backward.register_fake
def _(grad_log_neg, grad_cos_target, embedding, weight, label, scale, classes, *saved):  # type: ignore[no-untyped-def]
    num_classes = (weight if classes is None else classes).shape[0]
    wants_weight = saved[-1]
    return (
        torch.empty_like(embedding, memory_format=torch.contiguous_format),
        weight.new_empty(num_classes if wants_weight else 0, weight.shape[1]),
        torch.empty_like(scale),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    embedding, weight, label, scale, classes, precision, triton, _, _, _, _, chunk = inputs
    log_neg, cos_target, _, tiles, unit_weight, inverse_length = output
    ctx.save_for_backward(
        embedding, weight, label, scale, classes, log_neg, cos_target, unit_weight, inverse_length, *tiles
    )
    ctx.settings = precision, triton, chunk
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, grad_log_neg: Tensor | None, grad_cos_target: Tensor | None, *_: Any) -> tuple[Any, ...]:
    embedding, weight, label, scale, classes, log_neg, cos_target, unit_weight, inverse_length, *tiles = (
        ctx.saved_tensors
    )
    wants_embedding, wants_weight, _, wants_scale = ctx.needs_input_grad[:4]
    grads = [torch.zeros_like(log_neg) if g is None else g for g in (grad_log_neg, grad_cos_target)]
    precision, triton, chunk = ctx.settings
    by_embedding, by_weight, by_scale = margin_lse_backward(
        *grads, embedding, weight, label, scale, classes,
        log_neg, cos_target, tiles, unit_weight, inverse_length, precision, triton, chunk, wants_weight,
    )  # fmt: skip
    if wants_weight and classes is not None:
        by_weight = torch.sparse_coo_tensor(
            classes.unsqueeze(0), by_weight, weight.shape, is_coalesced=True, check_invariants=False
        )
    return (
        by_embedding if wants_embedding else None,
        by_weight if wants_weight else None,
        None,
        by_scale if wants_scale else None,
        *[None] * 8,
    )


margin_lse.register_autograd(_backward, setup_context=_save)
