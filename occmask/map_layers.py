"""BatchNorm and Linear on every element of a map, without a copy for contiguous and for channels-last maps alike.

`nn.Flatten` followed by `nn.BatchNorm1d` and `nn.Linear` must bring a channels-last map into channels-first order at
every step, since that is the order of their parameters.  Here the parameters have the shape of the map, so
`module.to(memory_format=torch.channels_last)` permutes them once, and map and parameters are viewed flat in the order
they share.  In a state dict they are flat and channels first, named and shaped like those of the two torch layers.

Limits: `nn.SyncBatchNorm.convert_sync_batchnorm` passes `MapNorm` over, so each process of a distributed run keeps
statistics of its own share of the batch; and the state dict of a channels-last layer holds copies, so values go in by
`load_state_dict`, not by writing into `state_dict()`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import ShapeError


class _MapLayer(nn.Module):
    """Tensors of a map's shape behind one leading axis in memory, flat in the state dict."""

    flat_from: ClassVar[Mapping[str, int]]  # which tensors, and from which axis on the state dict flattens them

    def __init__(self, map_shape: Sequence[int]):
        super().__init__()
        self.map_shape = tuple(map_shape)
        self.elements = math.prod(self.map_shape)

    def _check(self, x: Tensor) -> None:
        if tuple(x.shape[1:]) != self.map_shape:
            wanted = ", ".join(map(str, self.map_shape))
            raise ShapeError(f"this {type(self).__name__} takes (B, {wanted}), not {tuple(x.shape)}")

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, axis in self.flat_from.items():
            destination[prefix + name] = destination[prefix + name].flatten(axis)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        given = dict(state_dict)
        for name, axis in self.flat_from.items():
            own, value = getattr(self, name), given.get(prefix + name)
            if isinstance(value, Tensor) and value.shape == (*own.shape[:axis], self.elements):
                given[prefix + name] = value.reshape(own.shape)
        super()._load_from_state_dict(given, prefix, *rest)


class MapNorm(_MapLayer):
    """`nn.BatchNorm1d` over the flattened map: every element is normalised over the batch on its own.

    (B, *map_shape) -> the same shape and memory format.  Parameters and statistics are (1, *map_shape).
    """

    _version = 2  # of BatchNorm's state: the first lacked num_batches_tracked
    flat_from: ClassVar[Mapping[str, int]] = {"weight": 0, "bias": 0, "running_mean": 0, "running_var": 0}
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, map_shape: Sequence[int], *, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__(map_shape)
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(1, *self.map_shape))
        self.bias = nn.Parameter(torch.zeros(1, *self.map_shape))
        self.register_buffer("running_mean", torch.zeros(1, *self.map_shape))
        self.register_buffer("running_var", torch.ones(1, *self.map_shape))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:  # (B, *map_shape) -> (B, *map_shape)
        self._check(x)
        channels_last = _is_channels_last(x)
        weight, bias, mean, variance = (
            _rows(tensor, channels_last)[0] for tensor in (self.weight, self.bias, self.running_mean, self.running_var)
        )
        if self.training:
            self.num_batches_tracked.add_(1)
        rows = F.batch_norm(
            _rows(x, channels_last), mean, variance, weight, bias, self.training, self.momentum, self.eps
        )
        if self.training:
            for own, updated in ((self.running_mean, mean), (self.running_var, variance)):
                if not _rows_are_a_view(own, channels_last):
                    own.copy_(self._map(updated[None], channels_last))
        return self._map(rows, channels_last)

    def _map(self, rows: Tensor, channels_last: bool) -> Tensor:  # (R, elements) -> (R, *map_shape), a view
        if channels_last:
            channels, height, width = self.map_shape
            return rows.view(-1, height, width, channels).permute(0, 3, 1, 2)
        return rows.view(-1, *self.map_shape)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, local_metadata: Mapping[str, Any], *rest: Any
    ) -> None:
        key, given = f"{prefix}num_batches_tracked", dict(state_dict)
        if (local_metadata.get("version") or 0) < 2:  # as nn.BatchNorm1d does
            given.setdefault(key, self.num_batches_tracked)
        super()._load_from_state_dict(given, prefix, local_metadata, *rest)

    def extra_repr(self) -> str:
        return f"{self.map_shape}, eps={self.eps}, momentum={self.momentum}"


class MapLinear(_MapLayer):
    """`nn.Linear` on the flattened map: (B, *map_shape) -> (B, features).  The weight is (features, *map_shape)."""

    flat_from: ClassVar[Mapping[str, int]] = {"weight": 1}

    def __init__(self, map_shape: Sequence[int], features: int, *, bias: bool = True):
        super().__init__(map_shape)
        self.features = features
        self.weight = nn.Parameter(torch.empty(features, *self.map_shape))
        self.bias = nn.Parameter(torch.empty(features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The values, and the random numbers, of `nn.Linear`."""
        nn.init.kaiming_uniform_(self.matrix(), a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.elements)
            nn.init.uniform_(self.bias, -bound, bound)

    def matrix(self) -> Tensor:
        """The weight as (features, elements) in the order it lies in: a view to fill, detached."""
        return _rows(self.weight.detach(), _is_channels_last(self.weight))

    def forward(self, x: Tensor) -> Tensor:  # (B, *map_shape) -> (B, features)
        self._check(x)
        # Where the formats differ the map is brought into the weight's: it has fewer numbers.
        channels_last = _is_channels_last(self.weight)
        return F.linear(_rows(x, channels_last), _rows(self.weight, channels_last), self.bias)

    def extra_repr(self) -> str:
        return f"{self.map_shape}, {self.features}, bias={self.bias is not None}"


def _is_channels_last(x: Tensor) -> bool:
    """Channels-last and nothing else: a map of one channel, or of one position, is contiguous as well."""
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _rows(x: Tensor, channels_last: bool) -> Tensor:
    """(R, *map_shape) -> (R, elements) in the asked order: a view where `x` lies in it, otherwise a copy."""
    return (x.permute(0, 2, 3, 1) if channels_last else x).flatten(1)


def _rows_are_a_view(x: Tensor, channels_last: bool) -> bool:
    return (x.permute(0, 2, 3, 1) if channels_last else x).is_contiguous()
