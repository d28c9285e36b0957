"""Mask decoders: what to keep of the face's features, as logits.

Source: Qiu et al., TPAMI 2022, section 3.3: `full` is the paper's choice; `spatial`, `vector` and `deep` are its
ablations (2-D, fully connected, and no pyramid).
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ..errors import OptionError
from ..initialise import xavier_initialise
from ..shapes import FaceShapes, FeatureShape


def _halvings(decoder: str, source: FeatureShape, top: FeatureShape) -> int:
    """How many stride-2 convolutions lead from the source's size to the top map's."""
    height, width, steps = source.height, source.width, 0
    while height > top.height or width > top.width:
        height, width, steps = -(-height // 2), -(-width // 2), steps + 1
    if (height, width) != (top.height, top.width) or steps == 0:
        raise OptionError(
            f"mask decoder {decoder!r} halves a {source.height}x{source.width} map down to the top map, and "
            f"{top.height}x{top.width} is not among its halves; use a backbone whose last stages have stride 2"
        )
    return steps


def _descend(widths: list[int]) -> list[nn.Module]:
    """conv3x3/2, PReLU, BN between each two widths, and a bare conv3x3/2 to the last."""
    layers: list[nn.Module] = []
    for channels_in, channels_out in pairwise(widths):
        layers += [
            nn.Conv2d(channels_in, channels_out, 3, 2, 1, bias=False),
            nn.PReLU(channels_out),
            nn.BatchNorm2d(channels_out),
        ]
    return layers[:-2]


class FullMask(nn.Sequential):
    """One mask value per channel and position: X3 (B, C', H', W') -> (B, C, H, W)."""

    needs_pyramid = True

    def __init__(self, source: FeatureShape, shapes: FaceShapes):
        top = shapes.maps[-1]
        steps = _halvings("full", source, top)
        super().__init__(*_descend([source.channels] * steps + [top.channels]))
        self.mask_shape: tuple[int, ...] = tuple(top)
        xavier_initialise(self)


class SpatialMask(nn.Sequential):
    """One mask value per position, shared by all channels: X3 -> (B, 1, H, W)."""

    needs_pyramid = True

    def __init__(self, source: FeatureShape, shapes: FaceShapes):
        top = shapes.maps[-1]
        steps = _halvings("spatial", source, top)
        super().__init__(
            *_descend([source.channels] * steps + [top.channels]),
            nn.PReLU(top.channels),
            nn.BatchNorm2d(top.channels),
            nn.Conv2d(top.channels, 1, 3, 1, 1, bias=False),
        )
        self.mask_shape: tuple[int, ...] = (1, top.height, top.width)
        xavier_initialise(self)


class VectorMask(nn.Sequential):
    """One mask value per element of the finished embedding: X3 -> (B, D)."""

    needs_pyramid = True

    def __init__(self, source: FeatureShape, shapes: FaceShapes, *, width: int = 64):
        top = shapes.maps[-1]
        steps = _halvings("vector", source, top)
        if not isinstance(width, int) or width < 1:
            raise OptionError(f"mask decoder 'vector': width is a positive whole number, not {width!r}")
        elements = width * top.height * top.width
        super().__init__(
            *_descend([source.channels] * steps + [width]),
            nn.PReLU(width),
            nn.BatchNorm2d(width),
            nn.Flatten(),
            nn.BatchNorm1d(elements),
            nn.Linear(elements, shapes.embedding),
            nn.BatchNorm1d(shapes.embedding),
        )
        self.mask_shape: tuple[int, ...] = (shapes.embedding,)
        xavier_initialise(self)


class DeepMask(nn.Sequential):
    """A full mask from the top map alone, without the pyramid: X1 (B, C, H, W) -> (B, C, H, W)."""

    needs_pyramid = False

    def __init__(self, source: FeatureShape, shapes: FaceShapes):
        channels = source.channels
        super().__init__(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.PReLU(channels), nn.BatchNorm2d(channels)
        )
        self.mask_shape: tuple[int, ...] = tuple(source)
        xavier_initialise(self)
