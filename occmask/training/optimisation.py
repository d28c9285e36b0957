"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ..errors import OptionError, UnknownNameError
from ..models.config import OCCLUSION_PARTS
from ..option_check import check_options
from ..spec import Spec

Parameters = list[dict[str, Any]]


def sgd(
    parameters: Parameters, *, learning_rate: float, momentum: float = 0.9, nesterov: bool = False
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum, nesterov=nesterov)


def adamw(
    parameters: Parameters, *, learning_rate: float, betas: Sequence[float] = (0.9, 0.999)
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay."""
    return torch.optim.AdamW(parameters, lr=learning_rate, betas=(betas[0], betas[1]))


def cosine(progress: float) -> float:
    """From 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def step(progress: float, *, at: Sequence[float], factor: float = 0.1) -> float:
    """Times `factor` at each share of the run in `at`."""
    return math.prod([factor for share in at if progress >= share])


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"sgd": sgd, "adamw": adamw}
SCHEDULES: dict[str, Callable[..., float]] = {"cosine": cosine, "step": step, "constant": constant}


def check_optimiser(spec: Spec) -> Spec:
    """The spec, if there is such an optimiser and it takes these options."""
    return _check("optimiser", spec, OPTIMISERS)


def check_schedule(spec: Spec) -> Spec:
    """The spec, if there is such a schedule and it takes these options."""
    return _check("schedule", spec, SCHEDULES)


def build_optimiser(
    spec: Spec,
    model: nn.Module,
    loss: nn.Module,
    objective: nn.Module,
    *,
    parts_learning_rate: float | None,
    weight_decay: float,
) -> torch.optim.Optimizer:
    """One group for the recogniser and its class weights, one for the parts that deal with occlusion and what the
    objective brings, at their own learning rate; nothing frozen."""
    prefixes = tuple(f"{name}." for name in OCCLUSION_PARTS)
    parts = [p for name, p in model.named_parameters() if name.startswith(prefixes)]
    new = {id(p) for p in (*parts, *objective.parameters())}
    trained = [p for p in (*model.parameters(), *loss.parameters(), *objective.parameters()) if p.requires_grad]
    groups: Parameters = []
    for rate, chosen in (
        (spec.options["learning_rate"], [p for p in trained if id(p) not in new]),
        (parts_learning_rate or spec.options["learning_rate"], [p for p in trained if id(p) in new]),
    ):
        if chosen:
            groups.append({"params": chosen, "weight_decay": weight_decay, "lr": rate})
    if not groups:
        raise OptionError("this recipe freezes everything that the model has; leave something out of freezes")
    optimiser = OPTIMISERS[spec.name](groups, **spec.options)
    for group in optimiser.param_groups:
        group["peak_lr"] = group["lr"]
    return optimiser


def set_learning_rate(
    optimiser: torch.optim.Optimizer, schedule: Spec, *, index: int, total: int, warm_up: float
) -> None:
    """The learning rate of step `index` (from 0) of `total`: a function of the step, so resuming needs no state."""
    share = SCHEDULES[schedule.name](index / total, **schedule.options)
    if warm_up > 0:
        share *= min(1.0, (index + 1) / (warm_up * total))
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * share


def _check(kind: str, spec: Spec, known: dict[str, Callable[..., Any]]) -> Spec:
    if spec.name not in known:
        raise UnknownNameError(kind, spec.name, known)
    check_options(f"{kind} {spec.name!r}", known[spec.name], spec.options, wiring=1)
    required = [p.name for p in inspect.signature(known[spec.name]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    defaults = inspect.signature(known[spec.name]).parameters
    for option in required:
        if option not in spec.options and defaults[option].default is inspect.Parameter.empty:
            raise OptionError(f"{kind} {spec.name!r} needs the option {option!r}")
    rate = spec.options.get("learning_rate")
    if rate is not None and not (isinstance(rate, (int, float)) and 0 < rate < math.inf):
        raise OptionError(f"{kind} {spec.name!r}: learning_rate is positive, not {rate!r}")
    return spec
