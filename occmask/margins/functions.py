"""What a margin makes of the target cosine: phi(cos theta) = cos(m1 * theta + m2) - m3 and its special cases."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import OptionError
from .options import factor_of_angle, flag, number

# Where the slope of acos is still finite: 2e3 here, infinite at 1.
LARGEST_COSINE = 1 - 1e-7


def angle(cosine: Tensor) -> Tensor:
    """The angle in radians of a cosine, which is clamped to +-(1 - 1e-7)."""
    return torch.acos(cosine.clamp(-LARGEST_COSINE, LARGEST_COSINE))


def add_to_angle(cosine: Tensor, added: Tensor, *, monotone: bool) -> Tensor:
    """cos(theta + added), each face with its own `added` (B,) in radians; `monotone` is the guard of `Combined`."""
    phi = torch.cos(angle(cosine) + added)
    if monotone:
        turn = torch.cos((math.pi - added).clamp(0, math.pi))  # the cosine where phi reaches -1
        inside = cosine.clamp(-LARGEST_COSINE, LARGEST_COSINE)
        phi = torch.where(inside < turn, cosine - turn - 1, phi)
    return phi


class Combined:
    """The combined margin, cos(m1 * theta + m2) - m3, with theta the angle to the own class in radians.

    Called with the target cosine (B,) and the embedding norm (B,), which it does not use; returns phi (B,).
    The cosine is clamped to +-(1 - 1e-7) before acos; without an angular part (m1 = 1, m2 = 0) it is not touched.

    `gradient="exact"` differentiates phi.  "straight_through" gives phi's value with derivative 1 in the
    cosine: what InsightFace computes, whose margins run without gradient.
    `monotone=True` is the guard for large angles: past m1 * theta + m2 = pi, where cos would rise again and
    reward turning away, phi goes on as cos(theta) lowered to join, so that it always falls with theta (for m2 >= 0).

    Raises `OptionError` for values that are not finite numbers, m1 that is not positive, another `gradient`.
    Source: Deng et al., "ArcFace" (CVPR 2019), equation 4 for the combined form.
    """

    default_scale = 64.0

    def __init__(
        self, *, m1: float = 1.0, m2: float = 0.3, m3: float = 0.2, gradient: str = "exact", monotone: bool = False
    ):
        self.m1, self.m2, self.m3 = factor_of_angle("m1", m1), number("m2", m2), number("m3", m3)
        if gradient not in ("exact", "straight_through"):
            raise OptionError(f"option 'gradient' is 'exact' or 'straight_through', not {gradient!r}")
        self.gradient, self.monotone = gradient, flag("monotone", monotone)

    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:
        phi = self._exact(cosine)  # (B,)
        if self.gradient == "exact":
            return phi
        return phi.detach() + (cosine - cosine.detach())  # adds zero: the value is phi's to the last bit

    def _exact(self, cosine: Tensor) -> Tensor:
        if self.m1 == 1 and self.m2 == 0:
            return cosine - self.m3
        phi = torch.cos(self.m1 * angle(cosine) + self.m2)
        if self.monotone:
            inside = cosine.clamp(-LARGEST_COSINE, LARGEST_COSINE)
            turn = math.cos(min(max((math.pi - self.m2) / self.m1, 0.0), math.pi))  # cosine where phi reaches -1
            phi = torch.where(inside < turn, cosine - turn - 1, phi)
        return phi - self.m3

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(m1={self.m1}, m2={self.m2}, m3={self.m3}, "
            f"gradient={self.gradient!r}, monotone={self.monotone})"
        )


class CosFace(Combined):
    """phi = cos(theta) - margin.  Source: Wang et al., "CosFace" (CVPR 2018), equation 4."""

    default_scale = 30.0

    def __init__(self, *, margin: float = 0.35):
        super().__init__(m1=1.0, m2=0.0, m3=number("margin", margin))


class ArcFace(Combined):
    """phi = cos(theta + margin), margin in radians.  Source: Deng et al., "ArcFace" (CVPR 2019), equation 3.

    `gradient` and `monotone` as in `Combined`.
    """

    def __init__(self, *, margin: float = 0.5, gradient: str = "exact", monotone: bool = False):
        super().__init__(m1=1.0, m2=number("margin", margin), m3=0.0, gradient=gradient, monotone=monotone)


class SphereFace(Combined):
    """phi = cos(margin * theta).  Source: Liu et al., "SphereFace" (CVPR 2017), on normalised features.

    `gradient` and `monotone` as in `Combined`.
    """

    def __init__(self, *, margin: float = 1.5, gradient: str = "exact", monotone: bool = False):
        super().__init__(m1=factor_of_angle("margin", margin), m2=0.0, m3=0.0, gradient=gradient, monotone=monotone)


class NormalisedSoftmax(Combined):
    """phi = cos(theta): softmax over scaled cosines, no margin.  Source: Wang et al., "NormFace" (MM 2017)."""

    default_scale = 30.0

    def __init__(self) -> None:
        super().__init__(m1=1.0, m2=0.0, m3=0.0)
