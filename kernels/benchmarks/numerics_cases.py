"""Relative error of loss and gradients late in training, by what operands and logits are rounded to.

Late, because there the probabilities of the other classes are small and the gradient is what is left of them.  On a CPU
the rounding of our operands is imitated; torch's own products in fp16 and bf16 are real ones, but a CPU's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from occmask_kernels.margin.precision import PRECISIONS

from .competitors import Competitor, eager, insightface_style, ours
from .margin_cases import attempt
from .record import Row
from .scenes import margin_truth, scene

COSINE = 0.7  # of an embedding with its class
SIZE = (128, 10_572, 512)
LIMIT = {"ieee": 1e-5, "tf32": 1e-3, "fp16": 1e-3, "bf16": 4e-3}  # of ours


def competitors(device: str) -> Iterator[Competitor]:
    emulated = "emulated" if device == "cpu" else ""
    for precision in PRECISIONS:
        note = "" if precision == "ieee" else emulated
        yield Competitor(
            f"ours {precision}",
            partial(ours, precision=precision, cache=0),
            is_ours=True,
            precision=precision,
            note=note,
        )
    yield Competitor("eager fp32", eager)
    yield Competitor("eager, logits in bf16", partial(eager, dtype=torch.bfloat16), note=emulated)
    yield Competitor("insightface, cosines in fp16", partial(insightface_style, dtype=torch.float16), note=emulated)


def measure(device: str) -> Iterator[Row]:
    batch = scene(*SIZE, cosine=COSINE, device=device)
    truth = margin_truth(batch)
    case = f"cos_target {COSINE}, N={SIZE[0]} C={SIZE[1]} D={SIZE[2]}"
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
