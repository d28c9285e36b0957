"""What a model segments, pixel by pixel, and how well that meets what is really covered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import occmask

PROBE_SEED = 7  # of the conditions that occmask's own protocols draw


class SegmentationFigures(NamedTuple):
    """One condition, means over its faces."""

    iou: float  # of predicted and true covered pixels; a face where both are empty counts as 1
    predicted: float  # share of the pixels called covered
    covered: float  # share of the pixels that are


def segment(model: occmask.FaceModel, images: NDArray[np.uint8], *, batch_size: int = 50) -> NDArray[np.float32]:
    """The probability that each pixel is covered, of pictures (N, H, W, 3) uint8: (N, H, W).

    The refiner's map, bilinearly at the size of the picture.  Raises `OptionError` for a model without a refiner.
    """
    require_segmentation(model)
    found = np.empty(images.shape[:3], np.float32)
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = occmask.to_tensor(images[start : start + batch_size], model.config.input_spec)
            coverage = model(batch).coverage
            assert coverage is not None
            logits = F.interpolate(coverage, images.shape[1:3], mode="bilinear", align_corners=False)
            found[start : start + batch_size] = logits[:, 0].sigmoid().numpy()
    return found


def require_segmentation(model: occmask.FaceModel) -> None:
    """`OptionError` for a model that segments nothing."""
    if model.refiner is None:
        raise occmask.OptionError(
            "this model has no refiner, so it segments nothing; build one that has, such as 'msml_tiny', and train it"
        )


def pixel_iou(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union of two maps (N, H, W), face by face: (N,); two empty maps agree (1)."""
    if predicted.shape != true.shape or predicted.ndim != 3:
        raise occmask.ShapeError(f"maps are (N, H, W), twice the same; not {predicted.shape} and {true.shape}")
    both = (predicted & true).sum((1, 2))
    either = (predicted | true).sum((1, 2))
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def measure_conditions(
    model: occmask.FaceModel, faces: occmask.FaceSet, *, conditions: Sequence[str], seed: int = PROBE_SEED
) -> Iterator[tuple[str, SegmentationFigures]]:
    """One condition after the other, each over all faces; a pixel is called covered from a probability of a half on."""
    images = faces.images()
    for name in conditions:
        probes = occmask.cover_probes(images, name, seed=seed, grey=faces.grey)
        predicted = segment(model, probes.images) >= 0.5
        iou = pixel_iou(predicted, probes.covered)
        yield name, SegmentationFigures(float(iou.mean()), float(predicted.mean()), float(probes.covered.mean()))
