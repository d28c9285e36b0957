"""`MarginLoss`: embedding and label -> identity loss, with the class weights it learns."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occmask_kernels.margin import DEFAULT_CHUNK, PRECISIONS, Cache, margin_lse, margin_lse_and_rank
from occmask_kernels.margin.reweighted import reweighted_lse, target_cosine

from ..errors import OptionError, ShapeError
from ..option_check import check_options
from ..spec import Spec
from . import MARGINS, Margin


class MarginLoss(nn.Module):
    """Softmax cross-entropy on scaled cosines, the own class's cosine replaced by the margin's phi.

    With s the scale, the mean over the batch of

        -log( exp(s phi_i) / (exp(s phi_i) + sum_{j != label_i} exp(s cos_ij)) ) = softplus(log_neg_i - s phi_i)

    A margin with `reweight` changes the cos_ij of the sum, one with `regulariser` adds a term for each face.

    `spec` names the margin and holds its options and `scale` (left out: the margin's default).
    `weight` (C, D) is the one parameter, Xavier-uniform at the start; `scale` and `margin` are what the spec
    amounts to.  A margin that is a module is part of the loss: its state is in the state_dict, and it learns about
    the batches in training mode only.  Never holds a B x C matrix, unless `cache` has room for one.
    `precision` and `cache` are how it is computed, and are explained at `occmask_kernels.margin_lse`; a margin that
    re-weights the negatives is computed in float32 without a cache.

    Raises `UnknownNameError` for the margin's name and `OptionError` for an option, an option's value,
    fewer than two classes, an embedding without dimensions, or a `precision` or `cache` that does not exist.
    """

    weight: nn.Parameter

    def __init__(
        self,
        spec: Spec | str,
        *,
        embedding_dim: int,
        num_classes: int,
        precision: str | None = None,
        cache: Cache | None = None,
    ):
        super().__init__()
        self.spec, self.precision, self.cache = Spec.of(spec), precision, cache
        if precision not in (None, *PRECISIONS):
            raise OptionError(f"precision is one of {', '.join(PRECISIONS)} or None, not {precision!r}")
        if cache not in (None, "auto") and not _is_count(cache, 0):
            raise OptionError(f"cache is a number of bytes, 'auto' or None, not {cache!r}")
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
        """The mean loss of a batch, 0 for an empty one.

        embedding: (B, D), floating point, not normalised.  label: (B,) integers in [0, C).
        Returns a scalar: float64 if the embedding or the weight is, else float32.
        Raises `ShapeError` for other shapes or types and, on a CPU, for a label out of range.  A GPU is not made to
        wait for the labels' values: there a label out of range makes the loss NaN.
        """
        losses = self.per_face(embedding, label)  # (B,)
        return losses.mean() if len(losses) else losses.sum()

    def per_face(self, embedding: Tensor, label: Tensor) -> Tensor:
        """The loss of each face, (B,); takes, returns and raises what `forward` does."""
        self._check_embedding(embedding)
        label = self._checked_label(label, len(embedding))
        norm = torch.linalg.vector_norm(embedding.to(self._dtype(embedding)), dim=1)  # (B,)
        if hasattr(self.margin, "reweight"):
            phi = self._phi(target_cosine(embedding, self.weight, label), norm)  # (B,)
            log_neg = self._reweighted_log_neg(embedding, label, phi)  # (B,)
        else:
            log_neg, cos_target = margin_lse(
                embedding, self.weight, label, self.scale, precision=self.precision, cache=self.cache
            )  # (B,), (B,)
            phi = self._phi(cos_target, norm)
        # softplus, without the threshold past which F.softplus rounds: neither overflows nor cancels at any scale
        excess = log_neg - self.scale * phi
        losses = torch.logaddexp(excess, torch.zeros_like(excess))
        if hasattr(self.margin, "regulariser"):
            losses = losses + self._per_face("regulariser", self.margin.regulariser(norm), norm)
        return losses

    def _phi(self, cos_target: Tensor, norm: Tensor) -> Tensor:
        return self._per_face("phi", self.margin(cos_target, norm), norm)

    def _per_face(self, what: str, values: Tensor, norm: Tensor) -> Tensor:
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        if shape != tuple(norm.shape):  # (B, 1) would broadcast to B x B without a word
            plugin = MARGINS.plugin_of(self.spec.name)
            margin = f"margin {self.spec.name!r}" + (f" of plug-in {plugin!r}" if plugin else "")
            raise ShapeError(f"{margin} returned {shape}; {what} is {tuple(norm.shape)}")
        return values

    def _reweighted_log_neg(self, embedding: Tensor, label: Tensor, phi: Tensor) -> Tensor:
        reweight = self.margin.reweight  # type: ignore[attr-defined]
        threshold = phi.detach().unsqueeze(1)  # (B, 1)
        return reweighted_lse(
            embedding,
            self.weight,
            label,
            self.scale,
            lambda cosine: reweight(cosine, threshold),
            chunk=DEFAULT_CHUNK,
        )

    @torch.no_grad()
    def predict(self, embedding: Tensor) -> Tensor:
        """The class of highest cosine, without a margin: (B, D) -> (B,) int64. Raises `ShapeError` as the loss does."""
        self._check_embedding(embedding)
        best = embedding.new_full((len(embedding),), -torch.inf, dtype=self._dtype(embedding))
        answer = torch.zeros(len(embedding), dtype=torch.int64, device=embedding.device)
        dtype, chunk = self._dtype(embedding), DEFAULT_CHUNK
        for start in range(0, self.num_classes, chunk):
            class_unit = F.normalize(self.weight[start : start + chunk].to(dtype), dim=1)
            with torch.autocast(embedding.device.type, enabled=False):
                scores = embedding.to(dtype) @ class_unit.t()  # the length changes no order, so it stays
            highest, index = scores.max(dim=1)  # (B,), (B,)
            answer = torch.where(highest > best, index + start, answer)
            best = torch.maximum(best, highest)
        return answer

    @torch.no_grad()
    def target_rank(self, embedding: Tensor, label: Tensor) -> Tensor:
        """How many other classes have a higher cosine than one's own: (B, D), (B,) -> (B,) int64, 0 for "right".

        The share of ranks below k is the top-k accuracy.  Cosines that differ by rounding only may count either way;
        NaN counts as higher than anything, so that a spoilt face is never right.  Takes and raises what `forward`
        does; on a GPU a label out of range has rank C.
        """
        self._check_embedding(embedding)
        label = self._checked_label(label, len(embedding))
        return margin_lse_and_rank(embedding, self.weight, label, self.scale, precision=self.precision)[2]

    def _dtype(self, embedding: Tensor) -> torch.dtype:
        return torch.promote_types(torch.promote_types(embedding.dtype, self.weight.dtype), torch.float32)

    def extra_repr(self) -> str:
        return (
            f"{self.spec.name!r}, embedding_dim={self.embedding_dim}, num_classes={self.num_classes}, "
            f"scale={self.scale}"
        )

    def _check_embedding(self, embedding: Tensor) -> None:
        if embedding.ndim != 2 or embedding.shape[1] != self.embedding_dim:
            raise ShapeError(f"embedding is (B, {self.embedding_dim}), not {tuple(embedding.shape)}")
        if not embedding.is_floating_point():
            raise ShapeError(f"embedding is floating point (torch.float32), not {embedding.dtype}")
        if embedding.device != self.weight.device:
            raise ShapeError(f"embedding is on {embedding.device} but the class weights are on {self.weight.device}")

    def _checked_label(self, label: Tensor, batch: int) -> Tensor:
        """The label as int64; on a GPU with num_classes, which makes a face's loss NaN, for what is negative."""
        if label.shape != (batch,):
            raise ShapeError(f"label has one class a face, ({batch},), not {tuple(label.shape)}")
        if label.is_floating_point() or label.is_complex() or label.dtype is torch.bool:
            raise ShapeError(f"label holds class numbers (torch.int64), not {label.dtype}")
        if label.device != self.weight.device:
            raise ShapeError(f"label is on {label.device} but the class weights are on {self.weight.device}")
        label = label.long()
        if label.is_cuda:
            return label.masked_fill(label < 0, self.num_classes)
        if batch and not torch.compiler.is_compiling():  # values are not known while a graph is traced
            low, high = torch.stack(torch.aminmax(label)).tolist()
            if low < 0 or high >= self.num_classes:
                raise ShapeError(
                    f"label {low if low < 0 else high} is no class of this loss: "
                    f"num_classes={self.num_classes}, so labels are 0..{self.num_classes - 1}"
                )
        return label


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
