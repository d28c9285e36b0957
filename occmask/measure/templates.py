"""Pictures -> templates, batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..devices import device_of
from ..images.pixels import Pixels, to_tensor
from ..models.face import FaceModel
from ..shapes import Template


def templates_of(model: FaceModel, images: Pixels, *, batch_size: int = 100) -> Template:
    """The templates of pictures (N, H, W, 3), on the CPU wherever the model is."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = to_tensor(images[start : start + batch_size], model.config.input_spec).to(device_of(model))
            found.append(model.template(batch))
    return Template(
        torch.cat([t.embedding for t in found]).cpu(),
        _joined([t.parts for t in found]),
        _joined([t.visible for t in found]),
        found[0].grid,
    )


def _joined(batches: list[Tensor | None]) -> Tensor | None:
    """None where the model's templates have no such thing."""
    there = [batch for batch in batches if batch is not None]
    return torch.cat(there).cpu() if there else None
