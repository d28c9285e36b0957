"""What a method costs in use: parameters, and time per face."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import torch

from ..devices import device_of
from ..models.face import FaceModel

_BATCH, _ROUNDS, _WARM_UP = 16, 15, 2


def num_parameters(model: FaceModel) -> int:
    """Parameters of the model as it is saved, what only predicts the occlusion included."""
    return sum(parameter.numel() for parameter in model.parameters())


def milliseconds_per_face(models: Mapping[str, FaceModel]) -> dict[str, dict[str, float]]:
    """Embedding 16 faces at a time, without asking what is covered: median and 20..80 % of 15 rounds, per face.

    The models take turns, so that whatever else the machine does hits all of them alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for index in range(_WARM_UP + _ROUNDS):
            for name, model in models.items():
                device = device_of(model)
                images = torch.zeros(_BATCH, 3, *model.config.image_size, device=device)
                images = images.contiguous(memory_format=torch.channels_last)
                _wait(device)
                start = time.perf_counter()
                model(images)
                _wait(device)
                if index >= _WARM_UP:
                    seconds[name].append(time.perf_counter() - start)
    found = {}
    for name, taken in seconds.items():
        low, value, high = (float(q) for q in np.quantile(taken, [0.2, 0.5, 0.8]) * 1000 / _BATCH)
        found[name] = {"value": value, "low": low, "high": high}
    return found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
