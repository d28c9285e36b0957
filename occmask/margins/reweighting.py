"""Margins that also re-weight the negatives: classes that come closer than one's own less the margin are hard."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .adaptive import renew
from .functions import ArcFace, CosFace
from .options import at_least_zero, share


class CurricularFace(nn.Module):
    """phi = cos(theta + margin); a hard negative, one with cos_j > phi, counts as cos_j * (t + cos_j).

    `t` (1,) is a buffer: the running mean of the target cosines, 0 at the start, of which each batch in training mode
    first renews a share `alpha`.  So hard negatives weigh little at the beginning and more as the network learns.
    `monotone` is the guard of `Combined`, on by default as in the published training; that one lowered the cosine by
    margin * sin(margin) past the turn, with a small jump, and ours joins.

    Source: Huang et al., "CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition" (CVPR 2020),
    section 3, the functions T and N.
    """

    default_scale = 64.0
    t: Tensor

    def __init__(self, *, margin: float = 0.5, alpha: float = 0.01, monotone: bool = True):
        super().__init__()
        self.target, self.alpha = ArcFace(margin=margin, monotone=monotone), share("alpha", alpha)
        self.register_buffer("t", torch.tensor([0.0]))  # (1,) for the reason given in AdaFace

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:  # (B,), (B,) -> (B,)
        if self.training:
            renew(self.t, cosine.detach().mean(), self.alpha)
        return self.target(cosine, norm)

    @property
    def reweight(self) -> Callable[[Tensor, Tensor], Tensor]:
        """(cosine (B, M), phi (B, 1)) -> (B, M), with the t of now: the backward pass of a batch may come late."""
        t = self.t.clone()

        def with_this_t(cosine: Tensor, phi: Tensor) -> Tensor:
            return torch.where(cosine > phi, cosine * (t.to(cosine.dtype) + cosine), cosine)

        return with_this_t

    def extra_repr(self) -> str:
        return f"target={self.target}, alpha={self.alpha}"


class _Misclassified:
    """A hard negative, one with cos_j > phi, counts as (t + 1) * cos_j + t."""

    default_scale = 32.0

    def __init__(self, target: ArcFace | CosFace, t: float):
        self.target, self.t = target, at_least_zero("t", t)

    def __call__(self, cosine: Tensor, norm: Tensor) -> Tensor:  # (B,), (B,) -> (B,)
        return self.target(cosine, norm)

    def reweight(self, cosine: Tensor, phi: Tensor) -> Tensor:  # (B, M), (B, 1) -> (B, M)
        return torch.where(cosine > phi, (self.t + 1) * cosine + self.t, cosine)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(target={self.target}, t={self.t})"


class MVAMSoftmax(_Misclassified):
    """phi = cos(theta) - margin; a hard negative, one with cos_j > phi, counts as (t + 1) * cos_j + t.

    Source: Wang et al., "Mis-classified Vector Guided Softmax Loss for Face Recognition" (AAAI 2020), the adaptive
    re-weighting with the target of AM-Softmax; t here is what exceeds 1 in the paper's.
    """

    def __init__(self, *, margin: float = 0.35, t: float = 0.2):
        super().__init__(CosFace(margin=margin), t)


class MVArcSoftmax(_Misclassified):
    """phi = cos(theta + margin); a hard negative, one with cos_j > phi, counts as (t + 1) * cos_j + t.

    `monotone` as in `Combined`.

    Source: Wang et al., "Mis-classified Vector Guided Softmax Loss for Face Recognition" (AAAI 2020), the adaptive
    re-weighting with the target of ArcFace; t here is what exceeds 1 in the paper's.
    """

    def __init__(self, *, margin: float = 0.5, t: float = 0.2, monotone: bool = False):
        super().__init__(ArcFace(margin=margin, monotone=monotone), t)
