"""LResNet-E-IR, FROM's trunk: a 3x3 stem and four stages of pre-norm residual blocks, each halving the map.

Source: Qiu et al., TPAMI 2022, section 4; the block is the "IR" unit of ArcFace (Deng et al., CVPR 2019).
Module names (`conv1 bn1 prelu1 layerL.i...`) are the field's, so published trunks load name by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ..errors import OptionError
from ..initialise import xavier_initialise
from ..shapes import FeatureShape

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}


class ResidualBlock(nn.Module):
    """BN-conv3x3-BN-PReLU-conv3x3(stride)-BN plus the shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.prelu1 = nn.PReLU(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, H, W) -> (B, C_out, ceil(H / stride), ceil(W / stride))
        y = self.prelu1(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return y + self.downsample(x)  # type: ignore[no-any-return]


class ResidualTrunk(nn.Module):
    """Stem and four stages; returns every stage's map, finest first.

    `blocks`: residual blocks of each stage; `widths`: channels of the stem and the four stages;
    `strides`: of the stem and the first block of each stage.
    """

    refinable = True

    def __init__(
        self, image_size: tuple[int, int], *, blocks: Sequence[int], widths: Sequence[int], strides: Sequence[int]
    ):
        super().__init__()
        stem, *stages = widths
        self.conv1 = nn.Conv2d(3, stem, 3, strides[0], 1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.prelu1 = nn.PReLU(stem)
        height, width = (-(-side // strides[0]) for side in image_size)
        shapes, channels = [], stem
        for index, (depth, out, stride) in enumerate(zip(blocks, stages, strides[1:], strict=True), start=1):
            first = ResidualBlock(channels, out, stride)
            stage = nn.Sequential(first, *(ResidualBlock(out, out, 1) for _ in range(depth - 1)))
            self.add_module(f"layer{index}", stage)
            height, width, channels = -(-height // stride), -(-width // stride), out
            shapes.append(FeatureShape(channels, height, width))
        self.shapes = tuple(shapes)
        xavier_initialise(self)

    def forward(  # (B, 3, H, W)
        self, image: Tensor, refine: Callable[[int, Tensor], Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        x = self.prelu1(self.bn1(self.conv1(image)))
        maps = []
        for level in range(len(self.shapes)):
            x = self.get_submodule(f"layer{level + 1}")(x)
            if refine is not None:
                x = refine(level, x)
            maps.append(x)
        return tuple(maps)


class LResNet(ResidualTrunk):
    """LResNet-E-IR of 18, 34, 50 or 100 layers, its `depth`.

    (B, 3, 112, 96) -> 64x56x48, 128x28x24, 256x14x12, 512x7x6; any other size halves, rounding up, four times.
    """

    def __init__(self, image_size: tuple[int, int], *, depth: int = 50):
        if depth not in BLOCKS:
            raise OptionError(f"backbone 'lresnet': depth is one of {', '.join(map(str, BLOCKS))}, not {depth!r}")
        super().__init__(image_size, blocks=BLOCKS[depth], widths=(64, 64, 128, 256, 512), strides=(1, 2, 2, 2, 2))
