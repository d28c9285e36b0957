"""The clauses of `check_margin` for what only some margins have: `regulariser` and `reweight`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .examination import Examination


def check_regulariser(exam: Examination) -> None:
    """One finite value a face, whatever its norm, in the norm's type, with an exact gradient."""
    for dtype in (torch.float32, torch.float64):
        norm = torch.linspace(0, 200, 41, dtype=dtype).requires_grad_()
        with exam.clause("has a regulariser that is called with the embedding norm (B,)"):
            value: Tensor = exam.build().regulariser(norm)
        exam.require_shape(value, (41,), "the regulariser, one value a face,")
        exam.require(value.dtype == dtype, f"regularises in the norm's own {dtype}, not in {value.dtype}")
        exam.require_finite(value, "in the regulariser for norms from 0 to 200")
        exam.require(value.requires_grad, "passes the regulariser's gradient on to the norm, but it is detached")
        (slope,) = torch.autograd.grad(value.sum(), norm)
        exam.require_finite(slope, "in the regulariser's gradient for norms from 0 to 200")
    norm = torch.tensor([3.21, 17.3, 42.7, 88.8, 173.0], dtype=torch.float64, requires_grad=True)
    with exam.clause("has a regulariser with an exact gradient"):
        torch.autograd.gradcheck(exam.build().regulariser, (norm,))


def check_reweight(exam: Examination) -> None:
    """Elementwise, exact, finite; leaves easy negatives alone; the function of one batch stays that function.

    Whether a hard negative rises is the margin's own affair: CurricularFace lowers it at the start of training.
    """
    for dtype in (torch.float32, torch.float64):
        cosine, phi = torch.linspace(-1, 1, 41, dtype=dtype).repeat(5, 1), _phis(dtype)
        untouched, untouched_phi = cosine.clone(), phi.clone()
        reweight = _after_a_batch(exam, dtype).reweight
        with exam.clause("re-weights cosines (B, M), given phi (B, 1)"):
            found = reweight(cosine, phi)
        exam.require_shape(found, (5, 41), "the re-weighted cosines, one value for each,")
        exam.require(found.dtype == dtype, f"re-weights in the cosine's own {dtype}, not in {found.dtype}")
        exam.require_finite(found, "in the re-weighted cosines from -1 to 1")
        exam.require_same((cosine, phi), (untouched, untouched_phi), "re-weights a copy, but changed its input")
        easy = cosine <= phi
        exam.require_same(found[easy], cosine[easy], "leaves cosines up to phi exactly as they are when it re-weights")
        parts = torch.cat([reweight(cosine[:, :7], phi), reweight(cosine[:, 7:], phi)], dim=1)
        exam.require_same(parts, found, "re-weights each class on its own, but the others of a chunk changed it")
    _check_gradient(exam)
    _check_it_keeps(exam)


def _check_gradient(exam: Examination) -> None:
    cosine = torch.linspace(-0.93, 0.91, 12, dtype=torch.float64).repeat(5, 1).requires_grad_()
    reweight, phi = _after_a_batch(exam, torch.float64).reweight, _phis(torch.float64)
    exam.require(reweight(cosine, phi).requires_grad, "passes a gradient through the re-weighted cosine")
    with exam.clause("re-weights with an exact gradient"):
        torch.autograd.gradcheck(lambda c: reweight(c, phi), (cosine,))


def _check_it_keeps(exam: Examination) -> None:
    margin = _after_a_batch(exam, torch.float64)
    cosine, phi = torch.linspace(-1, 1, 41, dtype=torch.float64).repeat(5, 1), _phis(torch.float64)
    reweight = margin.reweight
    before = reweight(cosine, phi)
    margin(torch.full((5,), 0.77, dtype=torch.float64), torch.full((5,), 77.0, dtype=torch.float64))
    exam.require_same(
        reweight(cosine, phi),
        before,
        "re-weights a batch the same in its backward pass, but the function asked for before another batch changed "
        "with that batch: bind the state when `reweight` is asked for",
    )


def _after_a_batch(exam: Examination, dtype: torch.dtype) -> Any:
    """In training mode, with a state that is no longer the first one."""
    margin = exam.build()
    if isinstance(margin, nn.Module):
        margin.to(dtype).train()
    margin(torch.full((5,), 0.9, dtype=dtype), torch.full((5,), 20.0, dtype=dtype))
    return margin


def _phis(dtype: torch.dtype) -> Tensor:
    return torch.tensor([[-0.999], [-0.456], [0.0123], [0.345], [0.987]], dtype=dtype)
