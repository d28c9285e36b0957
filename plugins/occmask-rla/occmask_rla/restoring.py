"""Pictures through a model's restorer, and what is compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tqdm import tqdm

import occmask

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Places = NDArray[np.bool_]


class Restored(NamedTuple):
    """What a restorer made of N pictures."""

    images: Bytes  # (N, H, W, 3) RGB
    cover: Floats  # (N, H, W): how probably each pixel is covered; zeros from a restorer that does not say


def load_restoring_model(path: Path, *, device: str = "cpu") -> occmask.FaceModel:
    """A model that has a restorer; `OptionError` for any other."""
    model = occmask.load_model(path)
    if model.restorer is None:
        raise occmask.OptionError(f"{path} holds a model without a restorer; train one, such as recipe 'rla' does")
    return model.to(device)


def restore(model: occmask.FaceModel, pictures: Bytes, *, batch_size: int = 50, progress: bool = False) -> Restored:
    """Pictures uint8 (N, H, W, 3), RGB, restored by the model's restorer; the model is in evaluation mode."""
    parts = list(_restored(model, pictures, batch_size=batch_size, progress=progress))
    if not parts:
        return Restored(pictures.copy(), np.zeros(pictures.shape[:3]))
    images, cover = zip(*parts, strict=True)
    return Restored(np.concatenate(images), np.concatenate(cover))


def _restored(model: occmask.FaceModel, pictures: Bytes, *, batch_size: int, progress: bool) -> Iterator[Restored]:
    restorer, spec = model.restorer, model.config.input_spec
    assert restorer is not None
    like = next(model.parameters())
    with tqdm(total=len(pictures), unit=" faces", disable=not progress, leave=False) as bar, torch.inference_mode():
        for start in range(0, len(pictures), batch_size):
            batch = occmask.to_tensor(pictures[start : start + batch_size], spec).to(like)
            restoration = restorer(batch)
            pixels = (restoration.image.cpu().double() * spec.scale + spec.mean).round().clamp(0, 255)
            images = pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy()
            if spec.colour == "BGR":
                images = images[..., ::-1]
            cover = batch.new_zeros(len(batch), 1, *spec.size)
            if restoration.coverage is not None:
                cover = F.interpolate(restoration.coverage, size=spec.size, mode="bilinear").sigmoid()
            bar.update(len(batch))
            yield Restored(np.ascontiguousarray(images), cover[:, 0].cpu().double().numpy())


def fill_with_mean(pictures: Bytes, covered: Places, mean: Floats) -> Floats:
    """The mean face (H, W, 3) pasted into the covered places (N, H, W) of pictures (N, H, W, 3)."""
    return np.where(covered[..., None], mean, pictures)
