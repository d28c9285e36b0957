"""Which implementation runs: the Triton kernels or plain torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from torch import Tensor

BACKENDS = ("auto", "torch", "triton")
HAS_TRITON = find_spec("triton") is not None  # found once: a traced path must not look for modules
INTERPRET = os.environ.get("TRITON_INTERPRET") == "1"  # Triton reads it at import, so it cannot change later
OLDEST_GPU = (8, 0)  # compute capability of sm_80: the first with bf16 and asynchronous copies

KERNEL_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def _checked(name: str, source: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"{source} is one of {', '.join(BACKENDS)}, not {name!r}")
    return name


# A plain global: torch.compile guards on it, and cannot trace a ContextVar.
_choice = _checked(os.environ.get("OCCMASK_BACKEND", "auto"), "the environment variable OCCMASK_BACKEND")


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Choose the implementation inside a `with` block, for the whole process.

    "torch": plain torch everywhere.  "triton": the kernels, or an error where they cannot run.  "auto" (the
    default, or what the environment variable OCCMASK_BACKEND says): the kernels on NVIDIA GPUs from compute
    capability 8.0 for float32, float16 and bfloat16, plain torch elsewhere.
    Raises ValueError for another name.
    """
    global _choice
    before, _choice = _choice, _checked(name, "backend")
    try:
        yield
    finally:
        _choice = before


def use_triton(*tensors: Tensor) -> bool:
    """Whether the kernels take these tensors, all on one device.

    Raises RuntimeError if "triton" was asked for and they do not.
    """
    if _choice == "torch" or (_choice == "auto" and not tensors[0].is_cuda):
        return False  # Interpreted kernels are for tests: slower than plain torch by orders of magnitude
    why_not = _obstacle(tensors)
    if _choice == "triton" and why_not:
        raise RuntimeError(f"backend 'triton' was asked for, but {why_not}; 'auto' falls back to plain torch")
    return not why_not


def backend_for(device: torch.device | str) -> str:
    """What "auto" runs on a device: "triton", or "torch" and why."""
    why_not = _device_obstacle(torch.device(device))
    return f"torch ({why_not})" if why_not else "triton"


def _obstacle(tensors: tuple[Tensor, ...]) -> str:
    """Why the kernels cannot run, or nothing."""
    unfit = [str(t.dtype) for t in tensors if t.dtype not in KERNEL_DTYPES]
    if unfit:
        return f"no kernel computes in {unfit[0]}"
    device = tensors[0].device
    if HAS_TRITON and INTERPRET and device.type == "cpu":
        return ""
    return _device_obstacle(device)


def _device_obstacle(device: torch.device) -> str:
    if not HAS_TRITON:
        return "the package triton is not installed"
    if device.type != "cuda":
        return f"no kernel runs on {device}" + (" without TRITON_INTERPRET=1" if device.type == "cpu" else "")
    if torch.version.cuda is None:
        return "the kernels are written for NVIDIA GPUs"
    if torch.cuda.get_device_capability(device) < OLDEST_GPU:
        return f"{device} is older than compute capability {OLDEST_GPU[0]}.{OLDEST_GPU[1]}"
    return ""
