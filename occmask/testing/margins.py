"""`check_margin`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..margins import MARGINS, Margin, build_loss
from ..spec import Spec
from .describing import check_description
from .examination import Component, Examination, seeded
from .margin_extras import check_regulariser, check_reweight


def check_margin(margin: Component[Margin], *, harder_up_to: float = math.pi / 2, exact_gradient: bool = True) -> None:
    """Raise `AssertionError` unless a margin keeps its protocol (`occmask.margins.Margin`).

    Checked: one phi a face, in the cosine's own type (float32, float64); finite with a finite gradient on the whole of
    [-1, 1], both ends included; phi at most the cosine for angles up to `harder_up_to` (radians), for a margin makes
    the task harder; rows follow their faces; inputs untouched; `default_scale` above 0; gradients exact by gradcheck
    in float64 (`exact_gradient=False` for margins that mean to differ, such as straight-through ones); and, for a name
    or a Spec, that it trains inside `occmask.build_loss`.

    A margin that is an `nn.Module` is tried in evaluation mode, where it must answer the same twice and keep its state;
    its state must survive a state_dict, and in training mode its phi must be finite too.
    Its constants must follow their inputs to another device, and its docstring name its options.
    `regulariser`, if there is one: one finite value a face for any norm from 0 up, gradients exact.
    `reweight`, if there is one: one finite value a cosine, cosines up to phi exactly as they were, elementwise,
    gradients exact, and the function got for one batch unchanged by the next one.
    """
    exam = Examination(MARGINS, margin)
    with seeded():
        built = exam.build()
        scale = getattr(built, "default_scale", None)
        exam.require(
            isinstance(scale, (int, float)) and 0 < scale < math.inf,
            f"has a `default_scale` above 0 for those who give no scale, not {scale!r}",
        )
        for dtype in (torch.float32, torch.float64):
            _check_values(exam, dtype, harder_up_to)
        if exact_gradient:
            _check_gradient(exam)
        if isinstance(built, nn.Module):
            _check_state(exam)
        if hasattr(built, "regulariser"):
            check_regulariser(exam)
        if hasattr(built, "reweight"):
            check_reweight(exam)
        _check_elsewhere(exam)
        if isinstance(margin, (str, Spec, Mapping)):
            _check_in_loss(exam, Spec.of(margin))
        check_description(exam)


def _check_values(exam: Examination, dtype: torch.dtype, harder_up_to: float) -> None:
    angle = torch.linspace(0, math.pi, 65, dtype=dtype)
    cosine, norm = angle.cos().clamp(-1, 1), torch.linspace(0, 120, 65, dtype=dtype)[torch.randperm(65)]
    cosine[0], cosine[-1] = 1, -1
    given = cosine.clone().requires_grad_()
    kind = str(dtype).removeprefix("torch.")
    phi = _phi(exam, given, norm)
    exam.require(isinstance(phi, Tensor), f"returns phi as a tensor, not a {type(phi).__name__}")
    exam.require_shape(phi, tuple(cosine.shape), "phi, one value a face,")
    exam.require(phi.dtype == dtype, f"returns {kind} for a {kind} cosine, not {phi.dtype}")
    exam.require_finite(phi, f"for cosines from -1 to 1 in {kind}")
    exam.require_same(given.detach(), cosine, "leaves the cosine as it was, but changed it in place")
    harder = angle <= harder_up_to
    slack = 16 * torch.finfo(dtype).eps
    # acos clamped short of 1 may lift phi by as much as it lowers the cosine there.
    worst = (phi - cosine)[harder].max().item()
    exam.require(
        worst <= max(slack, 2e-7),
        f"makes the task harder (phi at most the cosine up to {harder_up_to:.3g} rad), but exceeds it by {worst:.3g}",
    )
    exam.require(phi.requires_grad, "passes a gradient on to the cosine, but phi is detached")
    (slope,) = torch.autograd.grad(phi.sum(), given)
    exam.require_finite(slope, f"in phi's gradient for cosines from -1 to 1 in {kind}")

    order = torch.randperm(len(cosine))
    shuffled = _phi(exam, cosine[order], norm[order])
    exam.require_same(
        shuffled, phi.detach()[order], "gives each face its own phi, but their order matters", tolerance=1e-5
    )
    again, once = _phi(exam, cosine, norm), phi.detach()
    exam.require_same(again, once, "answers the same to the same faces in evaluation mode, but these two differ")


def _check_gradient(exam: Examination) -> None:
    cosine = torch.linspace(-0.9, 0.9, 13, dtype=torch.float64, requires_grad=True)
    norm = torch.linspace(5.0, 90.0, 13, dtype=torch.float64)
    with exam.clause("has an exact gradient (check_margin(..., exact_gradient=False) if it means to differ)"):
        torch.autograd.gradcheck(lambda c: _phi(exam, c, norm), (cosine,))


def _check_elsewhere(exam: Examination) -> None:
    """On another device: the meta device has no numbers, and refuses a constant that stayed on the CPU."""
    margin = exam.build()
    if isinstance(margin, nn.Module):
        margin.to("meta").eval()
    with exam.clause("works wholly on another device (meta): its constants are buffers or follow its inputs"):
        phi = margin(torch.zeros(5, device="meta"), torch.ones(5, device="meta"))
    exam.require(phi.device.type == "meta", f"returns phi on the device of the cosine, meta, not on {phi.device}")


def _check_in_loss(exam: Examination, spec: Spec) -> None:
    embedding, label = torch.randn(6, 8, requires_grad=True), torch.arange(6) % 5
    with exam.clause("trains inside occmask.build_loss"):
        loss = build_loss(spec, embedding_dim=8, num_classes=5)
        value = loss(embedding, label)
        value.backward()
    gradients: list[Any] = [embedding.grad, loss.weight.grad]
    exam.require(all(g is not None for g in gradients), "trains embedding and class weights inside build_loss")
    exam.require_finite((value, *gradients), "inside build_loss")


def _phi(exam: Examination, cosine: Tensor, norm: Tensor) -> Tensor:
    """From a margin of its own, in evaluation mode, so that no state or chance is carried from call to call."""
    margin = exam.build()
    if isinstance(margin, nn.Module):
        margin.to(cosine.dtype).eval()
    with exam.clause("is called with the target cosine (B,) and the embedding norm (B,)"):
        phi: Tensor = margin(cosine, norm)
    return phi


def _check_state(exam: Examination) -> None:
    margin, fresh = exam.build(), exam.build().eval()
    for _ in range(3):
        cosine, norm = torch.rand(16) * 1.8 - 0.9, torch.rand(16) * 60
        with exam.clause("is called in training mode"):
            phi = margin.train()(cosine, norm)
        exam.require_shape(phi, (16,), "phi in training mode, one value a face,")
        exam.require_finite(phi, "in training mode")
    before = {name: value.clone() for name, value in margin.state_dict().items()}
    answer = margin.eval()(cosine, norm)
    state = margin.state_dict()
    moved = [name for name, value in before.items() if not torch.equal(value, state[name])]
    exam.require(not moved, f"learns in training mode only, but {', '.join(moved)} moved in evaluation mode")
    exam.require_finite(list(state.values()), "in the state_dict")
    with exam.clause("takes back its own state_dict"):
        fresh.load_state_dict(state)
    exam.require_same(
        fresh(cosine, norm), answer, "answers as before after saving and loading, but its state_dict lacks something"
    )
