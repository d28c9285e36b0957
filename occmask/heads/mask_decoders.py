"""Mask decoders: what to keep of the face's features, as logits.

Source: Qiu et al., TPAMI 2022, section 3.3: `full` is the paper's choice; `spatial`, `vector` and `deep` are its
ablations (2-D, fully connected, and no pyramid).
"""

from __future__ import annotations

from torch import nn

from ..errors import OptionError
from ..initialise import xavier_initialise
from ..map_layers import MapLinear, MapNorm
from ..shapes import FaceShapes, FeatureShape


def _descend(decoder: str, source: FeatureShape, top: FeatureShape, channels: int) -> list[nn.Module]:
    """From X3 to the size of X1: conv3x3/2, PReLU, BN, conv3x3/2."""
    height, width = (-(-side // 4) for side in (source.height, source.width))
    if (height, width) != (top.height, top.width):
        raise OptionError(
            f"mask decoder {decoder!r} halves the pyramid's {source.height}x{source.width} map twice, to "
            f"{height}x{width}, and the top map is {top.height}x{top.width}; use a backbone whose last two stages have "
            "stride 2, or mask_decoder='deep'"
        )
    return [
        nn.Conv2d(source.channels, source.channels, 3, 2, 1, bias=False),
        nn.PReLU(source.channels),
        nn.BatchNorm2d(source.channels),
        nn.Conv2d(source.channels, channels, 3, 2, 1, bias=False),
    ]


class FullMask(nn.Sequential):
    """One mask value per channel and position: X3 (B, C', H', W') -> (B, C, H, W)."""

    needs_pyramid = True

    def __init__(self, source: FeatureShape, shapes: FaceShapes):
        top = shapes.maps[-1]
        super().__init__(*_descend("full", source, top, top.channels))
        self.mask_shape: tuple[int, ...] = tuple(top)
        xavier_initialise(self)


class SpatialMask(nn.Sequential):
    """One mask value per position, shared by all channels: X3 -> (B, 1, H, W)."""

    needs_pyramid = True

    def __init__(self, source: FeatureShape, shapes: FaceShapes):
        top = shapes.maps[-1]
        super().__init__(
            *_descend("spatial", source, top, top.channels),
            nn.PReLU(top.channels),
            nn.BatchNorm2d(top.channels),
            nn.Conv2d(top.channels, 1, 3, 1, 1, bias=False),
        )
        self.mask_shape: tuple[int, ...] = (1, top.height, top.width)
        xavier_initialise(self)


class VectorMask(nn.Sequential):
    """One mask value per element of the finished embedding: X3 -> (B, D).

    `width`: channels of the map that all elements are read from.
    """

    needs_pyramid = True

    def __init__(self, source: FeatureShape, shapes: FaceShapes, *, width: int = 64):
        top = shapes.maps[-1]
        if not isinstance(width, int) or width < 1:
            raise OptionError(f"mask decoder 'vector': width is a positive whole number, not {width!r}")
        reduced = FeatureShape(width, top.height, top.width)
        super().__init__(
            *_descend("vector", source, top, width),
            nn.PReLU(width),
            nn.BatchNorm2d(width),
            nn.Identity(),  # where others flatten: files name the layers by their place
            MapNorm(reduced),
            MapLinear(reduced, shapes.embedding),
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
