"""InsightFace's iresnet trunks, under names that their users know.

They are LResNet-E-IR's stem, blocks and stages (`lresnet.py`), so weights of one fill the other; here are the depths
that InsightFace has, and the trailing BatchNorm of an iresnet belongs to the embedding.  Source: the "IR" networks of
Deng et al. (CVPR 2019); depths as in InsightFace's arcface_torch.
"""

from __future__ import annotations

from ..errors import OptionError
from .lresnet import BLOCKS as LRESNET_BLOCKS
from .lresnet import ResidualTrunk

BLOCKS = {**LRESNET_BLOCKS, 200: (6, 26, 60, 6)}


class IResNet(ResidualTrunk):
    """InsightFace's iresnet of 18, 34, 50, 100 or 200 layers, its `depth`.

    (B, 3, 112, 112) -> 64x56x56, 128x28x28, 256x14x14, 512x7x7; any other size halves, rounding up, four times.
    Fresh weights are Xavier-uniform, as everywhere in occmask, where InsightFace draws them from N(0, 0.1).
    """

    def __init__(self, image_size: tuple[int, int], *, depth: int = 50):
        if depth not in BLOCKS:
            raise OptionError(f"backbone 'iresnet': depth is one of {', '.join(map(str, BLOCKS))}, not {depth!r}")
        super().__init__(image_size, blocks=BLOCKS[depth], widths=(64, 64, 128, 256, 512), strides=(1, 2, 2, 2, 2))


def iresnet18(image_size: tuple[int, int]) -> IResNet:
    """InsightFace's iresnet of 18 layers."""
    return IResNet(image_size, depth=18)


def iresnet34(image_size: tuple[int, int]) -> IResNet:
    """InsightFace's iresnet of 34 layers."""
    return IResNet(image_size, depth=34)


def iresnet50(image_size: tuple[int, int]) -> IResNet:
    """InsightFace's iresnet of 50 layers."""
    return IResNet(image_size, depth=50)


def iresnet100(image_size: tuple[int, int]) -> IResNet:
    """InsightFace's iresnet of 100 layers."""
    return IResNet(image_size, depth=100)


def iresnet200(image_size: tuple[int, int]) -> IResNet:
    """InsightFace's iresnet of 200 layers."""
    return IResNet(image_size, depth=200)
