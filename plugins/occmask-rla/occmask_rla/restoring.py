"""Pictures through a model's restorer, and what is compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

import occmask

from .restorer import RobustAutoencoder

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Places = NDArray[np.bool_]


class Restored(NamedTuple):
    """What a restorer made of N pictures."""

    images: Bytes  # (N, H, W, 3) RGB
    painted: Bytes  # (N, H, W, 3): whole faces, before they are composed with the picture; else as `images`
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
        return Restored(pictures.copy(), pictures.copy(), np.zeros(pictures.shape[:3]))
    return Restored(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _restored(model: occmask.FaceModel, pictures: Bytes, *, batch_size: int, progress: bool) -> Iterator[Restored]:
    restorer, spec = model.restorer, model.config.input_spec
    assert restorer is not None
    like = next(model.parameters())
    with tqdm(total=len(pictures), unit=" faces", disable=not progress, leave=False) as bar, torch.inference_mode():
        for start in range(0, len(pictures), batch_size):
            batch = occmask.to_tensor(pictures[start : start + batch_size], spec).to(like)
            restoration, painted = restorer(batch), None
            if isinstance(restorer, RobustAutoencoder):
                painted = _pixels(restorer.paint(batch, restorer.decode(batch)), spec)
            images = _pixels(restoration.image, spec)
            cover = batch.new_zeros(len(batch), 1, *spec.size)
            if restoration.coverage is not None:
                cover = F.interpolate(restoration.coverage, size=spec.size, mode="bilinear").sigmoid()
            bar.update(len(batch))
            yield Restored(images, images if painted is None else painted, cover[:, 0].cpu().double().numpy())


def _pixels(images: Tensor, spec: occmask.InputSpec) -> Bytes:
    """What `to_tensor` made of pictures, (N, 3, H, W), as uint8 RGB pixels (N, H, W, 3) again."""
    pixels = (images.cpu().double() * spec.scale + spec.mean).round().clamp(0, 255)
    rows = pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return np.ascontiguousarray(rows[..., ::-1] if spec.colour == "BGR" else rows)


def fill(pictures: Bytes, covered: Places, faces: Floats | Bytes) -> Floats:
    """A face (H, W, 3), or one each (N, H, W, 3), pasted into the covered places (N, H, W) of pictures (N, H, W, 3)."""
    return np.where(covered[..., None], faces, pictures).astype(np.float64)


def blend(pictures: Bytes, cover: Floats, face: Floats) -> Floats:
    """A face (H, W, 3) over pictures (N, H, W, 3) by the probability (N, H, W) that each pixel is covered."""
    return cover[..., None] * face + (1 - cover[..., None]) * pictures
