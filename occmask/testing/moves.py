"""A module on another device, and in another type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .examination import Arguments, Examination, converted, mapped, tensors_in


def check_moves(exam: Examination, build: Callable[[], Any], arguments: Arguments, output: Any) -> None:
    """Float64 and bfloat16 in, the same out; the meta device, and a GPU where there is one, without a CPU tensor left.

    `output` is what the module gives in evaluation, in float32 on the CPU.
    """
    with torch.no_grad():
        for dtype in (torch.float64, torch.bfloat16):
            name = str(dtype).removeprefix("torch.")
            with exam.clause(f"computes in {name} when asked to by .to(torch.{name})"):
                answer = build().to(dtype).eval()(*converted(arguments, dtype))
            exam.require(
                all(t.dtype == dtype for t in tensors_in(answer) if t.is_floating_point()),
                f"returns {name} for {name} inputs after .to(torch.{name})",
            )
            exam.require_finite(answer, f"in {name}")
        for device in ("meta", *(["cuda"] if torch.cuda.is_available() else [])):
            with exam.clause(
                f"works wholly on another device ({device}): its constants are buffers or follow its inputs"
            ):
                moved = build().to(device).eval()(*_on(arguments, device))
            strays = {t.device.type for t in tensors_in(moved)} - {device}
            exam.require(not strays, f"returns what is on the device of its inputs, {device}, not on {strays}")
            shapes, wanted = ([t.shape for t in tensors_in(x)] for x in (moved, output))
            exam.require(shapes == wanted, f"returns the same shapes on every device, not {shapes} on {device}")


def _on(arguments: Arguments, device: str) -> Any:
    return mapped(arguments, lambda tensor: tensor.to(device))
