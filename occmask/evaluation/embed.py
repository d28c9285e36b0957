"""Images -> embeddings, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import ProtocolError, ShapeError
from .checks import check_whole


def embed(
    function: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    batch_size: int = 100,
    device: torch.device | str | None = None,
) -> NDArray[np.float32]:
    """L2-normalised embeddings of images (N, 3, H, W): (N, D) float32.

    `function` maps images (B, 3, H, W) to embeddings (B, D); each batch is moved to `device` first.
    Raises `ProtocolError` for no images, a module in training mode, or NaN and infinity (the row is named),
    `ShapeError` for what is no batch of images or of embeddings, `OptionError` for the batch size.
    """
    check_whole("batch_size", batch_size, least=1, usual=128)
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point():
        raise ShapeError(f"images are {_described(images)}; they must be a floating-point tensor (N, 3, H, W)")
    if not len(images):
        raise ProtocolError("there are no images to embed; at least one is needed")
    if isinstance(function, nn.Module) and function.training:
        raise ProtocolError(
            "the model is in training mode, where a face's embedding depends on its batch; call .eval()"
        )
    rows = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            _check_finite(batch, start, "image")
            result: Any = function(batch if device is None else batch.to(device))
            if not isinstance(result, Tensor) or result.ndim != 2 or len(result) != len(batch):
                raise ShapeError(
                    f"the function returned {_described(result)} for {len(batch)} images; it must return embeddings "
                    f"({len(batch)}, D), such as `lambda images: model(images).embedding`"
                )
            _check_finite(result, start, "the embedding of image")
            rows.append(result.double().cpu())  # double: a short float16 vector would lose its direction
    embeddings = torch.cat(rows)
    length = embeddings.norm(dim=1, keepdim=True)
    if not bool((length > 0).all()):
        raise ProtocolError(f"the embedding of image {int(length.argmin())} is all zeros and has no direction")
    unit: NDArray[np.float32] = (embeddings / length).float().numpy()
    return unit


def _check_finite(rows: Tensor, start: int, what: str) -> None:
    bad = ~torch.isfinite(rows).flatten(1).all(dim=1)
    if bool(bad.any()):
        raise ProtocolError(
            f"{what} {start + int(bad.int().argmax())} holds NaN or infinity; every value must be finite"
        )


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    return f"a {type(value).__name__}"
