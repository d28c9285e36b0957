"""What every launch of a kernel shares, and what compiling one ahead of time needs. Knows no Triton."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Said, not left to Triton's default, which differs between versions: a * b + c in one instruction, rounded once.
COMPILE_OPTIONS: dict[str, Any] = {"enable_fp_fusion": True}

ARCHITECTURES = (80, 90)  # compute capability x 10: A100 and H100


class AotCase(NamedTuple):
    """One kernel with one set of constants, as `python -m occmask_kernels.aot` compiles it.

    `signature`: Triton's type of every other argument; "*fp16" is a pointer taken to be 16-byte aligned, "i32/16" an
    integer divisible by 16, "tensordesc<fp16[128,64]>" a tensor descriptor with its block.
    """

    kernel: Any  # a triton.JITFunction
    dtype: str  # of the operands: fp32, fp16, bf16
    signature: Mapping[str, str]
    constants: Mapping[str, Any]
    num_warps: int = 4
    num_stages: int = 2
    architectures: tuple[int, ...] = ARCHITECTURES
    label: str = ""  # what tells this case from others of its kernel


def on_device(tensor: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def num_multiprocessors(tensor: Tensor) -> int:
    """How many programs a persistent kernel starts; under the interpreter few, so that each takes several tiles."""
    return torch.cuda.get_device_properties(tensor.device).multi_processor_count if tensor.is_cuda else 3
