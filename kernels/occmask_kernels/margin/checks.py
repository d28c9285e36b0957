"""What `margin_lse` accepts: one line that says what was wrong and what would have worked."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def check_matrices(embedding: Tensor, weight: Tensor, label: Tensor) -> None:
    """Raise ValueError unless the three belong together; the labels' values are read on a CPU only."""
    if embedding.ndim != 2 or weight.ndim != 2 or embedding.shape[1] != weight.shape[1]:
        raise ValueError(
            f"embedding (N, D) and weight (C, D) share D, but got {tuple(embedding.shape)} and {tuple(weight.shape)}"
        )
    rows, num_classes = embedding.shape[0], weight.shape[0]
    if num_classes == 0:
        raise ValueError("weight (C, D) has no class; give at least one row")
    if label.shape != (rows,):
        raise ValueError(f"label has shape {tuple(label.shape)}; embedding {tuple(embedding.shape)} needs ({rows},)")
    if not (embedding.is_floating_point() and weight.is_floating_point()):
        raise ValueError(f"embedding and weight are floating point, not {embedding.dtype} and {weight.dtype}")
    if label.is_floating_point() or label.is_complex() or label.dtype is torch.bool:
        raise ValueError(f"label holds integers (torch.int64), not {label.dtype}")
    if not embedding.device == weight.device == label.device:
        raise ValueError(
            "embedding, weight and label are on one device, "
            f"not on {embedding.device}, {weight.device} and {label.device}"
        )
    if rows and readable(label):
        low, high = torch.stack(torch.aminmax(label)).tolist()
        if low < -1 or high >= num_classes:
            wrong = low if low < -1 else high
            raise ValueError(
                f"label {wrong} is out of range: with {num_classes} classes give 0..{num_classes - 1}, or -1"
            )


def check_settings(
    embedding: Tensor, weight: Tensor, scale: float | Tensor, classes: Tensor | None, cache: object, chunk: int
) -> None:
    """Raise ValueError for a setting of `margin_lse` that does not work; values are read on a CPU only."""
    if isinstance(scale, Tensor):
        _check_scale_tensor(scale, embedding)
    else:
        check_scale(scale)
    if chunk < 1:
        raise ValueError(f"chunk is the number of classes worked on at a time, at least 1, not {chunk!r}")
    if cache not in (None, "auto") and (not isinstance(cache, int) or isinstance(cache, bool) or cache < 0):
        raise ValueError(f"cache is 'auto' or a number of bytes from 0, not {cache!r}")
    if classes is not None:
        _check_classes(classes, weight)


def check_scale(scale: float) -> None:
    """Raise ValueError unless it is a finite number."""
    if torch.compiler.is_compiling():
        return  # a compiled graph may take the scale as a symbol, which has no value to look at
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not math.isfinite(scale):
        raise ValueError(f"scale is a finite number such as 64.0, not {scale!r}")


def _check_scale_tensor(scale: Tensor, embedding: Tensor) -> None:
    if scale.ndim != 0 or not scale.is_floating_point() or scale.device != embedding.device:
        raise ValueError(
            f"a scale tensor holds one float, shape (), on {embedding.device}; "
            f"not {tuple(scale.shape)} of {scale.dtype} on {scale.device}"
        )
    if readable(scale) and not math.isfinite(scale.item()):
        raise ValueError(f"scale is finite, such as 64.0, not {scale.item()!r}")


def _check_classes(classes: Tensor, weight: Tensor) -> None:
    if classes.ndim != 1 or len(classes) == 0 or classes.dtype != torch.int64 or classes.device != weight.device:
        raise ValueError(
            f"classes is (M,) torch.int64 with M at least 1 on {weight.device}, "
            f"not {tuple(classes.shape)} of {classes.dtype} on {classes.device}"
        )
    if not readable(classes):
        return
    if not (classes[1:] > classes[:-1]).all():
        raise ValueError("classes are sorted and without repeats; torch.unique(classes) makes them so")
    if classes[0] < 0 or classes[-1] >= weight.shape[0]:
        wrong = int(classes[0] if classes[0] < 0 else classes[-1])
        raise ValueError(f"class {wrong} is out of range: weight has rows 0..{weight.shape[0] - 1}")


def readable(values: Tensor) -> bool:
    """Whether reading a value back is free and possible."""
    return not (values.is_cuda or values.is_meta or torch.compiler.is_compiling())
