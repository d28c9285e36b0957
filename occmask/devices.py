"""Devices: which of them can be used here."""

from __future__ import annotations

import torch
from torch import nn

from .errors import OptionError


def usable_device(device: torch.device | str) -> torch.device:
    """A device on which tensors can be made here, or `OptionError`."""
    try:
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        raise OptionError(
            f"the device {str(device)!r} cannot be used here ({str(e).splitlines()[0]}); use 'cpu'"
        ) from e
    return wanted


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters lie."""
    return next(model.parameters()).device
