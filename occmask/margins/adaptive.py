"""Margins of each face's own: by the norm of its embedding (AdaFace, MagFace), or drawn anew (ElasticFace)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..errors import OptionError
from .functions import add_to_angle, angle
from .options import at_least_zero, flag, number, share


def renew(running: Tensor, fresh: Tensor, part: float) -> None:
    """running = (1 - part) * running + part * fresh, in place.

    A value that is not finite changes nothing: one bad batch would otherwise spoil every later one.
    """
    fresh = fresh.to(running.dtype)
    running.lerp_(torch.where(fresh.isfinite(), fresh, running), part)


class AdaFace(nn.Module):
    """phi = cos(theta + g_angle) - g_add, margins by the norm of the embedding, taken for the image's quality.

    A norm is clipped to [0.001, 100], takes no gradient, and is judged among the norms of late:
    q = (norm - mean) / (std + 0.001) * h, clipped to [-1, 1].  Then g_angle = -margin * q and
    g_add = margin + margin * q: CosFace-like for sharp faces, ArcFace-like for poor ones.  theta + g_angle is clipped
    to [0.001, pi - 0.001]; past the clip the face's own cosine takes no gradient.

    `mean` (1,) and `std` (1,) are buffers: running mean and running standard deviation of the norms, 20 and 100 at the
    start.  In training mode each batch first renews a share `alpha` of them; in evaluation mode they stay.  A batch of
    one face has no standard deviation and leaves that as it was.

    Source: Kim, Jain, Liu, "AdaFace: Quality Adaptive Margin for Face Recognition" (CVPR 2022), section 3.3.
    """

    default_scale = 64.0
    mean: Tensor
    std: Tensor

    def __init__(self, *, margin: float = 0.4, h: float = 0.333, alpha: float = 0.01):
        super().__init__()
        self.margin, self.h, self.alpha = number("margin", margin), at_least_zero("h", h), share("alpha", alpha)
        # (1,) and not (): a compiled graph of torch 2.13 (backend aot_eager) drops updates of 0-dimensional buffers
        self.register_buffer("mean", torch.tensor([20.0]))
        self.register_buffer("std", torch.tensor([100.0]))

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:  # (B,), (B,) -> (B,)
        quality = self._quality(norm)
        turned = (angle(cosine) - self.margin * quality).clamp(1e-3, math.pi - 1e-3)
        return torch.cos(turned) - (self.margin + self.margin * quality)

    @torch.no_grad()
    def _quality(self, norm: Tensor) -> Tensor:
        norm = norm.clamp(1e-3, 100.0)
        if self.training:
            renew(self.mean, norm.mean(), self.alpha)
            if len(norm) > 1:
                renew(self.std, norm.std(), self.alpha)
        return ((norm - self.mean) / (self.std + 1e-3) * self.h).clamp(-1, 1)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, h={self.h}, alpha={self.alpha}"


class MagFace:
    """phi = cos(theta + m(a)), the margin rising with the norm a of the embedding, and a reward for large norms.

    The norm is clamped to [l_a, u_a]; m(a) goes in a straight line from l_m to u_m (radians).  The regulariser
    lambda_g * g(a), with g(a) = a / u_a**2 + 1 / a, is added to the loss of each face.  The gradient flows through
    the norm as well, where it is not clamped.  `monotone` as in `Combined`.

    Source: Meng et al., "MagFace: A Universal Representation for Face Recognition and Quality Assessment"
    (CVPR 2021), section 3.
    """

    default_scale = 64.0

    def __init__(
        self,
        *,
        l_m: float = 0.45,
        u_m: float = 0.8,
        l_a: float = 10.0,
        u_a: float = 110.0,
        lambda_g: float = 35.0,
        monotone: bool = False,
    ):
        self.l_m, self.u_m = number("l_m", l_m), number("u_m", u_m)
        self.l_a, self.u_a = number("l_a", l_a), number("u_a", u_a)
        if not 0 < self.l_a < self.u_a:
            raise OptionError(f"options 'l_a' and 'u_a' are norms with 0 < l_a < u_a, not {l_a!r} and {u_a!r}")
        self.lambda_g, self.monotone = at_least_zero("lambda_g", lambda_g), flag("monotone", monotone)

    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:  # (B,), (B,) -> (B,)
        rise = (self.u_m - self.l_m) / (self.u_a - self.l_a)  # radians per unit of norm
        margin = self.l_m + rise * (norm.clamp(self.l_a, self.u_a) - self.l_a)
        return add_to_angle(cosine, margin, monotone=self.monotone)

    def regulariser(self, norm: Tensor) -> Tensor:  # (B,) -> (B,)
        """lambda_g * g(norm) of each face."""
        norm = norm.clamp(self.l_a, self.u_a)
        return self.lambda_g * (norm / self.u_a**2 + norm.reciprocal())

    def __repr__(self) -> str:
        return (
            f"MagFace(l_m={self.l_m}, u_m={self.u_m}, l_a={self.l_a}, u_a={self.u_a}, lambda_g={self.lambda_g}, "
            f"monotone={self.monotone})"
        )


class _Elastic(nn.Module):
    """Margins drawn from N(margin, std) for each face in training mode, the mean in evaluation mode."""

    default_scale = 64.0

    def __init__(self, *, margin: float, std: float, plus: bool):
        super().__init__()
        self.margin, self.std, self.plus = number("margin", margin), at_least_zero("std", std), flag("plus", plus)

    def _margins(self, cosine: Tensor) -> Tensor:
        """(B,), without gradient, from torch's own generator."""
        if not self.training:
            return torch.full_like(cosine, self.margin)
        drawn = self.margin + self.std * torch.randn_like(cosine)
        if not self.plus:
            return drawn
        nearest_first = cosine.detach().argsort(descending=True)
        return torch.empty_like(drawn).scatter(0, nearest_first, drawn.sort().values)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, std={self.std}, plus={self.plus}"


class ElasticArcFace(_Elastic):
    """phi = cos(theta + m), m drawn from N(margin, std) in radians, anew for every face of every batch.

    In evaluation mode m is `margin`.  `plus` is ElasticFace+: of the margins drawn for a batch, the larger ones go to
    the faces farther from their class centre.  `monotone` as in `Combined`.

    Source: Boutros et al., "ElasticFace: Elastic Margin Loss for Deep Face Recognition" (CVPR Workshops 2022),
    ElasticFace-Arc and ElasticFace-Arc+.
    """

    def __init__(self, *, margin: float = 0.5, std: float = 0.05, plus: bool = False, monotone: bool = False):
        super().__init__(margin=margin, std=std, plus=plus)
        self.monotone = flag("monotone", monotone)

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:  # (B,), (B,) -> (B,)
        return add_to_angle(cosine, self._margins(cosine), monotone=self.monotone)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, monotone={self.monotone}"


class ElasticCosFace(_Elastic):
    """phi = cos(theta) - m, m drawn from N(margin, std), anew for every face of every batch.

    In evaluation mode m is `margin`.  `plus` as in `ElasticArcFace`.

    Source: Boutros et al., "ElasticFace: Elastic Margin Loss for Deep Face Recognition" (CVPR Workshops 2022),
    ElasticFace-Cos and ElasticFace-Cos+.
    """

    def __init__(self, *, margin: float = 0.35, std: float = 0.05, plus: bool = False):
        super().__init__(margin=margin, std=std, plus=plus)

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:  # (B,), (B,) -> (B,)
        return cosine - self._margins(cosine)
