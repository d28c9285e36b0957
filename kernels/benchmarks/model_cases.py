"""How long a batch of faces takes: the published structure, our evaluation forward, and `occmask.optimize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import occmask

from .groups import Contender, Group
from .measure import Run
from .published import PublishedFrom, randomise
from .record import Row


def contenders(model: str, *, batch: int, compiled: bool, device: str = "cpu") -> dict[str, Run]:
    """The published structure, our evaluation forward and its inference form, with the same image batch.

    Depth and mask are those of `model`; without a head there is nothing published to compare with.
    """
    ours = occmask.build(model)
    randomise(ours, seed=0)
    forms: dict[str, nn.Module] = {"evaluation": ours, "optimized": occmask.optimize(ours)}
    theirs = published_like(ours)
    if theirs is not None:
        forms = {"published": theirs, **forms}
    height, width = ours.config.image_size
    images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0)).to(device) * 2 - 1
    forms = {name: form.to(device) for name, form in forms.items()}
    if compiled:
        del forms["evaluation"]
        return {f"{name}, compiled": _runs(torch.compile(form), images) for name, form in forms.items()}
    return {name: _runs(form, images) for name, form in forms.items()}


def published_like(model: occmask.models.FaceModel) -> nn.Module | None:
    """The published network of this model's depth and mask, if there is one."""
    config = model.config
    variant = None if config.head is None else config.head.options.get("mask_decoder", "full")
    variant = getattr(variant, "name", variant)
    if config.backbone.name != "lresnet" or variant not in ("full", "spatial", "vector"):
        return None
    return randomise(PublishedFrom(variant, 5, depth=config.backbone.options.get("depth", 50)), seed=0)


def _runs(form: Callable[[Tensor], Any], images: Tensor) -> Run:
    def run() -> object:
        with torch.inference_mode():
            return form(images)

    return run


def measure(model: str, *, device: str = "cpu", batch: int = 8, rounds: int = 20, compiled: bool = False) -> list[Row]:
    """One race; the optimized form is compared with every other."""
    runs = contenders(model, batch=batch, compiled=compiled, device=device)
    reference, fastest = next(iter(runs)), list(runs)[-1]
    part = "compiled" if compiled else "as it is"
    group = Group(table="model", case=f"{model}, batch {batch}", part=part, reference=reference, ours=(fastest,))
    forms = [Contender(name=name, run=run) for name, run in runs.items()]
    return group.measure(forms, device=device, rounds=rounds, warm_up=2)
