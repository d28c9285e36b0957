"""Convolutions whose weight lies ready for the CPU's library.

oneDNN multiplies weights in a layout of its own, and without help brings them into it at every call: 120 MB a batch for
an R50.  Here that is done once, with the operators that torch's own compiler uses when it freezes a model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_OPERATORS = ("_reorder_convolution_weight", "_convolution_pointwise")


class _Scratch(dict[str, Tensor]):
    """What can be made again at any time: no copy and no file takes it along."""

    def __deepcopy__(self, memo: Any) -> _Scratch:
        return _Scratch()

    def __reduce__(self) -> tuple[type[_Scratch], tuple[()]]:
        return _Scratch, ()


class PackedConv2d(nn.Conv2d):
    """An `nn.Conv2d` for evaluation: the same numbers, from a packed copy of the weight where that is possible.

    Possible is it for float32 on a CPU with oneDNN, outside compilers, and without a gradient; everything else is
    `nn.Conv2d`.  The copy is made at the first such call; the weight must not be changed in place afterwards.
    """

    _packed: _Scratch

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C', H', W')
        if not self._can_run_packed(x):
            return super().forward(x)
        geometry = (self.padding, self.stride, self.dilation)
        if "weight" not in self._packed:
            self._packed["weight"] = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.detach(), *geometry, self.groups, list(x.shape)
            )
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._packed["weight"], self.bias, *geometry, self.groups, "none", [], ""
        )
        return found

    def _can_run_packed(self, x: Tensor) -> bool:
        return (
            x.device.type == self.weight.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and x.numel() > 0
            and not (torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad))
            and not torch.compiler.is_compiling()
            and not torch.is_autocast_enabled("cpu")
        )

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> PackedConv2d:
        self._packed.clear()  # to another device, type or format
        super()._apply(fn, recurse)
        return self


def pack_convolutions(module: nn.Module) -> None:
    """Turn every plain, zero-padded convolution inside into a `PackedConv2d`, in place, where torch has oneDNN."""
    if not (torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)):
        return
    for layer in module.modules():
        if type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
            layer.__class__ = PackedConv2d
            vars(layer)["_packed"] = _Scratch()
