"""Feature masking: a mask from face features and segmentation features, and how it acts on the face features."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

import occmask

from .segmentation import ResidualBlock


class Operator(Protocol):
    """How mask logits (B, C, H, W) act on face features (B, C, H, W); at the logit `initial` they hardly do."""

    initial: float

    def __call__(self, features: Tensor, mask: Tensor) -> Tensor: ...


class Multiply:
    """features * sigmoid(mask); `start` is the share that every place lets through before anything is learnt."""

    def __init__(self, *, start: float = 0.98):
        if not 0 < start < 1:
            raise occmask.OptionError(f"operator 'multiply': start lies between 0 and 1, not {start!r}")
        self.initial = math.log(start / (1 - start))

    def __call__(self, features: Tensor, mask: Tensor) -> Tensor:
        return features * mask.sigmoid()


class Add:
    """features + tanh(mask); the masks begin at zero."""

    initial = 0.0

    def __call__(self, features: Tensor, mask: Tensor) -> Tensor:
        return features + mask.tanh()


OPERATORS: dict[str, Callable[..., Operator]] = {"multiply": Multiply, "add": Add}


def build_operator(spec: occmask.Spec | str) -> Operator:
    """The operator of that name with these options; `UnknownNameError` or `OptionError` otherwise."""
    spec = occmask.Spec.of(spec)
    if spec.name not in OPERATORS:
        raise occmask.UnknownNameError("masking operator", spec.name, OPERATORS)
    factory = OPERATORS[spec.name]
    known = list(inspect.signature(factory).parameters)
    for option in spec.options:
        if option not in known:
            raise occmask.OptionError(
                f"masking operator {spec.name!r} has no option {option!r}; options: {', '.join(known) or 'none'}"
            )
    return factory(**spec.options)


class FeatureMasking(nn.Module):
    """Masks one level's map: conv3x3 and two residual blocks over face and segmentation features, then one logit each.

    features (B, C, H, W), seen (B, S, H, W) -> (B, C, H, W).  The last layer begins near zero, so that the map passes
    almost as it is until something is learnt.
    """

    def __init__(self, channels: int, seen: int, *, width: int, operator: Operator):
        super().__init__()
        self.operator = operator
        self.body = nn.Sequential(
            nn.Conv2d(channels + seen, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            ResidualBlock(width, width),
            ResidualBlock(width, width),
        )
        self.mask = nn.Conv2d(width, channels, 1)
        nn.init.normal_(self.mask.weight, std=0.01 / math.sqrt(width))
        nn.init.constant_(self.mask.bias, operator.initial)  # type: ignore[arg-type]

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        return self.operator(features, self.mask(self.body(torch.cat([features, seen], dim=1))))
