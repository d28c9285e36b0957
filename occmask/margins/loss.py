"""`MarginLoss`: embedding and label -> identity loss, with the class weights it learns."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occmask_kernels.margin import DEFAULT_CHUNK, margin_lse

from ..errors import OptionError, ShapeError
from ..registry import check_options
from ..spec import Spec
from . import MARGINS, Margin


class MarginLoss(nn.Module):
    """Softmax cross-entropy on scaled cosines, the own class's cosine replaced by the margin's phi.

    With s the scale, the mean over the batch of

        -log( exp(s phi_i) / (exp(s phi_i) + sum_{j != label_i} exp(s cos_ij)) ) = softplus(log_neg_i - s phi_i)

    `spec` names the margin and holds its options and `scale` (left out: the margin's default).
    `weight` (C, D) is the one parameter, Xavier-uniform at the start; `scale` and `margin` are what the spec
    amounts to.  Never holds a B x C matrix.

    Raises `UnknownNameError` for the margin's name and `OptionError` for an option, an option's value,
    fewer than two classes or an embedding without dimensions.
    """

    weight: nn.Parameter

    def __init__(self, spec: Spec | str, *, embedding_dim: int, num_classes: int):
        super().__init__()
        self.spec = Spec.of(spec)
        self.margin, self.scale = _margin_and_scale(self.spec)
        if not _is_count(embedding_dim, 1):
            raise OptionError(f"embedding_dim is a whole number of at least 1, not {embedding_dim!r}")
        if not _is_count(num_classes, 2):
            raise OptionError(f"num_classes is at least 2, for there must be somebody else, not {num_classes!r}")
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        nn.init.xavier_uniform_(self.weight)

    @property
    def num_classes(self) -> int:
        return self.weight.shape[0]

    @property
    def embedding_dim(self) -> int:
        return self.weight.shape[1]

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """The mean loss of a batch.

        embedding: (B, D), floating point, not normalised.  label: (B,) integers in [0, C).
        Returns a scalar: float64 if the embedding or the weight is, else float32.
        Raises `ShapeError` for other shapes or types, an empty batch, a label out of range.
        """
        self._check_embedding(embedding)
        self._check_label(label, len(embedding))
        log_neg, cos_target = margin_lse(embedding, self.weight, label, self.scale)  # (B,), (B,)
        norm = torch.linalg.vector_norm(embedding.to(cos_target.dtype), dim=1)  # (B,)
        phi = self.margin(cos_target, norm)  # (B,)
        if phi.shape != cos_target.shape:  # (B, 1) would broadcast to B x B without a word
            raise ShapeError(f"margin {self.spec.name!r} returned {tuple(phi.shape)}; phi is {tuple(cos_target.shape)}")
        # softplus, without the threshold past which F.softplus rounds: neither overflows nor cancels at any scale
        excess = log_neg - self.scale * phi
        return torch.logaddexp(excess, torch.zeros_like(excess)).mean()

    @torch.no_grad()
    def predict(self, embedding: Tensor) -> Tensor:
        """The class of highest cosine, without a margin: (B, D) -> (B,) int64. Raises `ShapeError` as the loss does."""
        self._check_embedding(embedding)
        dtype = torch.promote_types(embedding.dtype, self.weight.dtype)
        best = torch.full((len(embedding),), -torch.inf, dtype=dtype, device=embedding.device)
        answer = torch.zeros(len(embedding), dtype=torch.int64, device=embedding.device)
        for start in range(0, self.num_classes, DEFAULT_CHUNK):
            class_unit = F.normalize(self.weight[start : start + DEFAULT_CHUNK].to(dtype), dim=1)
            # The embedding's own length changes no order, so it stays
            highest, index = (embedding.to(dtype) @ class_unit.t()).max(dim=1)  # (B,), (B,)
            answer = torch.where(highest > best, index + start, answer)
            best = torch.maximum(best, highest)
        return answer

    def extra_repr(self) -> str:
        return (
            f"{self.spec.name!r}, embedding_dim={self.embedding_dim}, num_classes={self.num_classes}, "
            f"scale={self.scale}"
        )

    def _check_embedding(self, embedding: Tensor) -> None:
        if embedding.ndim != 2 or embedding.shape[1] != self.embedding_dim or len(embedding) == 0:
            raise ShapeError(f"embedding is (B, {self.embedding_dim}) with B at least 1, not {tuple(embedding.shape)}")
        if not embedding.is_floating_point():
            raise ShapeError(f"embedding is floating point (torch.float32), not {embedding.dtype}")
        if embedding.device != self.weight.device:
            raise ShapeError(f"embedding is on {embedding.device} but the class weights are on {self.weight.device}")

    def _check_label(self, label: Tensor, batch: int) -> None:
        if label.shape != (batch,):
            raise ShapeError(f"label has one class a face, ({batch},), not {tuple(label.shape)}")
        if label.is_floating_point() or label.is_complex() or label.dtype is torch.bool:
            raise ShapeError(f"label holds class numbers (torch.int64), not {label.dtype}")
        if label.device != self.weight.device:
            raise ShapeError(f"label is on {label.device} but the class weights are on {self.weight.device}")
        if torch.compiler.is_compiling():
            return  # values are not known while a graph is traced
        low, high = torch.stack(torch.aminmax(label)).tolist()
        if low < 0 or high >= self.num_classes:
            raise ShapeError(
                f"label {low if low < 0 else high} is no class of this loss: "
                f"num_classes={self.num_classes}, so labels are 0..{self.num_classes - 1}"
            )


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _margin_and_scale(spec: Spec) -> tuple[Margin, float]:
    factory = MARGINS[spec.name]
    signature = inspect.signature(factory)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "scale"]
    scale_option = inspect.Parameter("scale", inspect.Parameter.KEYWORD_ONLY, default=None)

    def loss_options(**_: Any) -> None: ...

    # the loss's one option and the margin's own, as one list: a misspelt name meets all of them
    ordered = sorted([*own, scale_option], key=lambda parameter: parameter.kind)
    loss_options.__signature__ = signature.replace(parameters=ordered)  # type: ignore[attr-defined]
    check_options(f"margin loss {spec.name!r}", loss_options, spec.options, 0)

    options = dict(spec.options)
    scale = options.pop("scale", None)
    margin = MARGINS.build(Spec(spec.name, **options))
    if scale is None:
        scale = getattr(margin, "default_scale", None)
    if scale is None:
        raise OptionError(f"margin {spec.name!r} has no default_scale; give option 'scale', such as scale=64.0")
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 < scale < math.inf:
        raise OptionError(f"option 'scale' is a finite number above 0 such as 64.0, not {scale!r}")
    return margin, float(scale)
