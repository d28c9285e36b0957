"""Initial values of our own components."""

from __future__ import annotations

from torch import nn

from .map_layers import MapLinear


def xavier_initialise(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for every convolution and linear layer, as FROM is published.

    BatchNorm (1 and 0) and PReLU (0.25) already start where they should.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
        elif isinstance(layer, MapLinear):
            nn.init.xavier_uniform_(layer.matrix())
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
