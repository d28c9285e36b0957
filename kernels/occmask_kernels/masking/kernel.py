"""The Triton kernels of the gate, and their launches. Imported only where triton is.

A gate of x's shape runs flat: both tensors lie in memory in the same order, whatever that is, and position does not
matter.  A gate (N, 1, H, W) that all channels share runs image by image; its gradient is a sum over channels, taken in
the pass that writes the gradient of x.  All arithmetic is in float32, rounded once; nothing is added atomically, so
results repeat bit for bit.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from .._launch import COMPILE_OPTIONS, AotCase, on_device

BLOCK_BYTES = 4096  # of x a program of a flat kernel takes: 128 threads, two 16-byte accesses each
TILE = 2048  # elements of x a program of a shared kernel takes at a time
WARPS = 4


@triton.jit
def _sigmoid(logits):
    """The sigmoid and its derivative, both accurate to rounding for logits of any size."""
    e = tl.exp(-tl.abs(logits))
    r = 1.0 / (1.0 + e)
    return tl.where(logits < 0.0, e * r, r), e * r * r


@triton.jit
def mask_forward_kernel(
    x_ptr,
    logits_ptr,
    gated_ptr,
    gate_ptr,
    n,
    threshold,
    HARD: tl.constexpr,
    KEEP_GATE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    start = tl.program_id(0).to(tl.int64) * BLOCK
    i = tl.arange(0, BLOCK)
    inside = start + i < n
    x = tl.load(x_ptr + start + i, mask=inside, other=0.0).to(tl.float32)
    soft, _ = _sigmoid(tl.load(logits_ptr + start + i, mask=inside, other=0.0).to(tl.float32))
    gate = tl.where(soft >= threshold, 1.0, 0.0) if HARD else soft
    tl.store(gated_ptr + start + i, (x * gate).to(gated_ptr.dtype.element_ty), mask=inside)
    if KEEP_GATE:
        tl.store(gate_ptr + start + i, soft.to(gate_ptr.dtype.element_ty), mask=inside)


@triton.jit
def mask_backward_kernel(
    grad_ptr,
    grad_gate_ptr,
    x_ptr,
    logits_ptr,
    grad_x_ptr,
    grad_logits_ptr,
    n,
    threshold,
    HARD: tl.constexpr,
    HAS_GRAD_GATE: tl.constexpr,
    NEEDS_X: tl.constexpr,
    NEEDS_LOGITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    start = tl.program_id(0).to(tl.int64) * BLOCK
    i = tl.arange(0, BLOCK)
    inside = start + i < n
    grad = tl.load(grad_ptr + start + i, mask=inside, other=0.0).to(tl.float32)
    soft, slope = _sigmoid(tl.load(logits_ptr + start + i, mask=inside, other=0.0).to(tl.float32))
    if NEEDS_LOGITS:
        grad_soft = grad * tl.load(x_ptr + start + i, mask=inside, other=0.0).to(tl.float32)
        if HAS_GRAD_GATE:
            grad_soft += tl.load(grad_gate_ptr + start + i, mask=inside, other=0.0).to(tl.float32)
        grad_logits = (grad_soft * slope).to(grad_logits_ptr.dtype.element_ty)
        tl.store(grad_logits_ptr + start + i, grad_logits, mask=inside)
    if NEEDS_X:
        gate = tl.where(soft >= threshold, 1.0, 0.0) if HARD else soft
        tl.store(grad_x_ptr + start + i, (grad * gate).to(grad_x_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _tile(c, p, C, HW, CHANNELS_LAST: tl.constexpr):
    """Offsets in an image of all pairs of channels c and positions p, and which exist; the last axis is contiguous."""
    if CHANNELS_LAST:
        offsets = p[:, None].to(tl.int64) * C + c[None, :]
        inside = (p < HW)[:, None] & (c < C)[None, :]
    else:
        offsets = c[:, None].to(tl.int64) * HW + p[None, :]
        inside = (c < C)[:, None] & (p < HW)[None, :]
    return offsets, inside


@triton.jit
def shared_forward_kernel(
    x_ptr,
    logits_ptr,
    gated_ptr,
    gate_ptr,
    C,
    HW,
    threshold,
    HARD: tl.constexpr,
    KEEP_GATE: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    tiles = tl.cdiv(HW, BLOCK_P)
    image = (tl.program_id(0) // tiles).to(tl.int64)
    p = tl.program_id(0) % tiles * BLOCK_P + tl.arange(0, BLOCK_P)
    logits = tl.load(logits_ptr + image * HW + p, mask=p < HW, other=0.0).to(tl.float32)
    soft, _ = _sigmoid(logits)
    gate = tl.where(soft >= threshold, 1.0, 0.0) if HARD else soft
    if KEEP_GATE:
        tl.store(gate_ptr + image * HW + p, soft.to(gate_ptr.dtype.element_ty), mask=p < HW)
    gate = gate[:, None] if CHANNELS_LAST else gate[None, :]
    first = image * C * HW
    for start in range(0, C, BLOCK_C):
        offsets, inside = _tile(start + tl.arange(0, BLOCK_C), p, C, HW, CHANNELS_LAST)
        x = tl.load(x_ptr + first + offsets, mask=inside, other=0.0).to(tl.float32)
        tl.store(gated_ptr + first + offsets, (x * gate).to(gated_ptr.dtype.element_ty), mask=inside)


@triton.jit
def shared_backward_kernel(
    grad_ptr,
    grad_gate_ptr,
    x_ptr,
    logits_ptr,
    grad_x_ptr,
    grad_logits_ptr,
    C,
    HW,
    threshold,
    HARD: tl.constexpr,
    HAS_GRAD_GATE: tl.constexpr,
    NEEDS_X: tl.constexpr,
    NEEDS_LOGITS: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    tiles = tl.cdiv(HW, BLOCK_P)
    image = (tl.program_id(0) // tiles).to(tl.int64)
    p = tl.program_id(0) % tiles * BLOCK_P + tl.arange(0, BLOCK_P)
    soft, slope = _sigmoid(tl.load(logits_ptr + image * HW + p, mask=p < HW, other=0.0).to(tl.float32))
    gate = tl.where(soft >= threshold, 1.0, 0.0) if HARD else soft
    gate = gate[:, None] if CHANNELS_LAST else gate[None, :]
    first = image * C * HW
    # Summed over channels only once, after the loop: until then every thread adds up what it loads itself.
    products = tl.zeros((BLOCK_P, BLOCK_C) if CHANNELS_LAST else (BLOCK_C, BLOCK_P), tl.float32)
    for start in range(0, C, BLOCK_C):
        offsets, inside = _tile(start + tl.arange(0, BLOCK_C), p, C, HW, CHANNELS_LAST)
        grad = tl.load(grad_ptr + first + offsets, mask=inside, other=0.0).to(tl.float32)
        if NEEDS_LOGITS:
            products += grad * tl.load(x_ptr + first + offsets, mask=inside, other=0.0).to(tl.float32)
        if NEEDS_X:
            tl.store(grad_x_ptr + first + offsets, (grad * gate).to(grad_x_ptr.dtype.element_ty), mask=inside)
    if NEEDS_LOGITS:
        grad_soft = tl.sum(products, 1 if CHANNELS_LAST else 0)
        if HAS_GRAD_GATE:
            grad_soft += tl.load(grad_gate_ptr + image * HW + p, mask=p < HW, other=0.0).to(tl.float32)
        grad_logits = (grad_soft * slope).to(grad_logits_ptr.dtype.element_ty)
        tl.store(grad_logits_ptr + image * HW + p, grad_logits, mask=p < HW)


def forward(x: Tensor, logits: Tensor, threshold: float | None, gated: Tensor, gate: Tensor | None) -> None:
    """Write x * gate and, where it is asked for, the soft gate.

    Tensors of x's shape are dense and of equal strides; where the gate is shared they are contiguous or channels-last,
    and those of its shape contiguous.
    """
    flags = {"HARD": threshold is not None, "KEEP_GATE": gate is not None}
    arguments = (x, logits, gated, gated if gate is None else gate)
    with on_device(x):
        if x.shape == logits.shape:
            n, block = x.numel(), BLOCK_BYTES // x.element_size()
            mask_forward_kernel[(triton.cdiv(n, block),)](
                *arguments, n, threshold or 0.0, **flags, BLOCK=block, num_warps=WARPS, **COMPILE_OPTIONS
            )
        else:
            grid, sizes, tile = _shared(x)
            shared_forward_kernel[grid](
                *arguments, *sizes, threshold or 0.0, **flags, **tile, num_warps=WARPS, **COMPILE_OPTIONS
            )


def backward(
    grad: Tensor,
    grad_gate: Tensor | None,
    x: Tensor,
    logits: Tensor,
    threshold: float | None,
    grad_x: Tensor | None,
    grad_logits: Tensor | None,
) -> None:
    """Write the gradients of x and of logits, one of which may be left out. Tensors lie as in `forward`."""
    flags = {
        "HARD": threshold is not None,
        "HAS_GRAD_GATE": grad_gate is not None,
        "NEEDS_X": grad_x is not None,
        "NEEDS_LOGITS": grad_logits is not None,
    }
    arguments = [grad if t is None else t for t in (grad, grad_gate, x, logits, grad_x, grad_logits)]
    with on_device(x):
        if x.shape == logits.shape:
            n, block = x.numel(), BLOCK_BYTES // x.element_size()
            mask_backward_kernel[(triton.cdiv(n, block),)](
                *arguments, n, threshold or 0.0, **flags, BLOCK=block, num_warps=WARPS, **COMPILE_OPTIONS
            )
        else:
            grid, sizes, tile = _shared(x)
            shared_backward_kernel[grid](
                *arguments, *sizes, threshold or 0.0, **flags, **tile, num_warps=WARPS, **COMPILE_OPTIONS
            )


def _shared(x: Tensor) -> tuple[tuple[int], tuple[int, int], dict[str, Any]]:
    """Grid, sizes and tile for x (N, C, H, W): a program takes some positions of one image, all their channels."""
    channels, positions = x.shape[1], x.shape[2] * x.shape[3]
    channels_last = not x.is_contiguous()
    block_c, block_p = _tile_sizes(channels, positions, channels_last)
    tile = {"CHANNELS_LAST": channels_last, "BLOCK_C": block_c, "BLOCK_P": block_p}
    return (x.shape[0] * triton.cdiv(positions, block_p),), (channels, positions), tile


def _tile_sizes(channels: int, positions: int, channels_last: bool) -> tuple[int, int]:
    """Powers of two whose product is about TILE, long along what is contiguous."""
    channels, positions = (triton.next_power_of_2(max(1, size)) for size in (channels, positions))
    if channels_last:
        block_c = min(channels, 256)
        return block_c, min(positions, TILE // block_c)
    block_p = min(positions, 64)
    return min(channels, TILE // block_p), block_p


def aot_cases() -> Iterator[AotCase]:
    """The variants that training and evaluation launch at FROM's sizes, 512 channels of 7 x 6."""
    for dtype, size in (("fp32", 4), ("fp16", 2), ("bf16", 2)):
        block = BLOCK_BYTES // size
        for hard in (False, True) if dtype == "bf16" else (False,):
            flags, label = {"HARD": hard, "BLOCK": block}, "hard" if hard else "soft"
            yield _case(mask_forward_kernel, dtype, {**flags, "KEEP_GATE": True}, f"{label}, gate kept")
            everything = {"HAS_GRAD_GATE": True, "NEEDS_X": True, "NEEDS_LOGITS": True}
            yield _case(mask_backward_kernel, dtype, {**flags, **everything}, f"{label}, gate gradient")
    for channels_last in (False, True):
        block_c, block_p = _tile_sizes(512, 42, channels_last)
        flags = {"HARD": False, "CHANNELS_LAST": channels_last, "BLOCK_C": block_c, "BLOCK_P": block_p}
        label = "channels last" if channels_last else "contiguous"
        yield _case(shared_forward_kernel, "bf16", {**flags, "KEEP_GATE": True}, label)
        for dtype in ("fp32", "bf16"):
            everything = {"HAS_GRAD_GATE": True, "NEEDS_X": True, "NEEDS_LOGITS": True}
            yield _case(shared_backward_kernel, dtype, {**flags, **everything}, label)


def _case(kernel: Any, dtype: str, constants: dict[str, Any], label: str) -> AotCase:
    scalars = {"n": "i32/16", "C": "i32/16", "HW": "i32", "threshold": "fp32"}
    signature = {name: f"*{dtype}" if name.endswith("_ptr") else scalars.get(name, "") for name in kernel.arg_names}
    return AotCase(kernel, dtype, signature, constants, num_warps=WARPS, label=label)
