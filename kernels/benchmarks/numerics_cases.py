"""Relative error of loss and gradients late in training, by what operands and logits are rounded to.

Late, because there the probabilities of the other classes are small and the gradient is what is left of them.  On a CPU
the rounding of our operands is imitated; torch's own products in fp16 and bf16 are real ones, but a CPU's.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from occmask_kernels.margin.precision import PRECISIONS

from .competitors import Competitor, eager, insightface_style, ours
from .margin_cases import attempt
from .record import Row
from .scenes import margin_truth, scene

COSINE = 0.7  # of an embedding with its class
SIZE = (128, 10_572, 512)
SIZE_QUICK = (32, 2_000, 512)
LIMIT = {"ieee": 1e-5, "tf32": 1e-3, "fp16": 1e-3, "bf16": 4e-3}  # of ours


def competitors(device: str) -> Iterator[Competitor]:
    emulated = "emulated" if device == "cpu" else ""
    for precision in PRECISIONS:
        note = "" if precision == "ieee" else emulated
        yield Competitor(
            f"ours {precision}",
            lambda s, p=precision: ours(s, precision=p, cache=0),
            is_ours=True,
            precision=precision,
            note=note,
        )
    yield Competitor("eager fp32", eager)
    yield Competitor("eager, logits in bf16", lambda s: eager(s, torch.bfloat16), note=emulated)
    yield Competitor("insightface, cosines in fp16", lambda s: insightface_style(s, torch.float16), note=emulated)


def measure(device: str, *, quick: bool) -> Iterator[Row]:
    size = SIZE_QUICK if quick else SIZE
    batch = scene(*size, cosine=COSINE, device=device)
    truth = margin_truth(batch)
    case = f"cos_target {COSINE}, N={size[0]} C={size[1]} D={size[2]}"
    for competitor in competitors(device):
        tried = attempt(competitor, batch, truth, device)
        errors, note = ({}, tried) if isinstance(tried, str) else (tried.errors, competitor.note)
        yield Row(
            table="numerics",
            case=case,
            part="forward+backward",
            implementation=competitor.name,
            note=note,
            error=errors,
            limit=LIMIT[competitor.precision] if competitor.is_ours else None,
        )
