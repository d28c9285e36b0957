"""The published FROM network written out as one plain module, as the thing to compare with.

It computes what the published forward pass computes, needed or not: both embeddings, every level of the pyramid and the
predictor, on contiguous maps that are flattened channels first; the spatial mask is repeated over all channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}


class Block(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(cin)
        self.conv1 = nn.Conv2d(cin, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.prelu1 = nn.PReLU(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(cout)
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, H, W) -> (B, C_out, H / stride, W / stride)
        y = self.bn3(self.conv2(self.prelu1(self.bn2(self.conv1(self.bn1(x))))))
        return y + (self.downsample(x) if hasattr(self, "downsample") else x)


class PublishedPyramid(nn.Module):
    """All five levels P3 to P7; FROM reads P3 alone."""

    def __init__(self) -> None:
        super().__init__()
        self.P5_1, self.P4_1, self.P3_1 = nn.Conv2d(512, 256, 1), nn.Conv2d(256, 256, 1), nn.Conv2d(128, 256, 1)
        self.P5_2, self.P4_2, self.P3_2 = (nn.Conv2d(256, 256, 3, 1, 1) for _ in range(3))
        self.P6, self.P7_2 = nn.Conv2d(512, 256, 3, 2, 1), nn.Conv2d(256, 256, 3, 2, 1)

    def forward(self, c3: Tensor, c4: Tensor, c5: Tensor) -> tuple[Tensor, ...]:  # finest first
        p5 = self.P5_1(c5)
        p4 = self.P4_1(c4) + F.interpolate(p5, scale_factor=2, mode="nearest")
        p3 = self.P3_1(c3) + F.interpolate(p4, scale_factor=2, mode="nearest")
        p6 = self.P6(c5)
        return self.P3_2(p3), self.P4_2(p4), self.P5_2(p5), p6, self.P7_2(F.relu(p6))


class PublishedFrom(nn.Module):
    """112 x 96 input; `variant` is how its mask looks (full, spatial or vector), `k` the cells a side."""

    def __init__(self, variant: str = "full", k: int = 5, *, depth: int = 50):
        super().__init__()
        self.variant, patterns = variant, (k * (k + 1) // 2) ** 2 + 1
        self.conv1, self.bn1, self.prelu1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        channels = 64
        for index, (blocks, width) in enumerate(zip(BLOCKS[depth], (64, 128, 256, 512), strict=True), start=1):
            stage = [Block(channels, width, 2), *(Block(width, width, 1) for _ in range(blocks - 1))]
            setattr(self, f"layer{index}", nn.Sequential(*stage))
            channels = width
        self.fpn = PublishedPyramid()
        start = [nn.Conv2d(256, 256, 3, 2, 1, bias=False), nn.PReLU(256), nn.BatchNorm2d(256)]
        if variant == "vector":
            end = [nn.Conv2d(256, 64, 3, 2, 1, bias=False), nn.PReLU(64), nn.BatchNorm2d(64)]
            self.reduces = nn.Sequential(*start, *end)
            self.mask = nn.Sequential(nn.BatchNorm1d(2688), nn.Linear(2688, 512), nn.BatchNorm1d(512))
        else:
            end = [nn.Conv2d(256, 512, 3, 2, 1, bias=False)]
            if variant == "spatial":
                end += [nn.PReLU(512), nn.BatchNorm2d(512), nn.Conv2d(512, 1, 3, 1, 1, bias=False)]
            self.mask = nn.Sequential(*start, *end)
        elements = 512 if variant == "vector" else 21504
        self.regress = nn.Sequential(
            nn.BatchNorm1d(elements),
            nn.Dropout(0.5),
            nn.Linear(elements, patterns, bias=False),
            nn.BatchNorm1d(patterns),
        )
        self.fc = nn.Sequential(nn.BatchNorm1d(21504), nn.Dropout(0.5), nn.Linear(21504, 512), nn.BatchNorm1d(512))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[Tensor, ...]]:  # (B, 3, 112, 96)
        """Masked embedding, clean embedding, mask in [0, 1], pattern logits, and the pyramid.

        The pyramid is returned so that a compiler cannot leave out what the published code runs.
        """
        x = self.layer1(self.prelu1(self.bn1(self.conv1(x))))
        c3 = self.layer2(x)
        c4 = self.layer3(c3)
        c5 = self.layer4(c4)
        levels, clean = self.fpn(c3, c4, c5), self.fc(c5.flatten(1))
        if self.variant == "vector":
            mask = self.mask(self.reduces(levels[0]).flatten(1)).sigmoid()
            return clean * mask, clean, mask, self.regress(mask), levels
        mask = self.mask(levels[0]).sigmoid()
        if self.variant == "spatial":
            mask = mask.repeat(1, 512, 1, 1)
        return self.fc((c5 * mask).flatten(1)), clean, mask, self.regress(mask.flatten(1)), levels


def randomise(model: nn.Module, *, seed: int) -> nn.Module:
    """Random but tame: every BatchNorm has its own statistics, so that nothing can be swapped unnoticed.

    Any layer with running statistics counts as a BatchNorm and any other weight of two axes and more as a linear map.
    In evaluation mode afterwards.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            weight = getattr(module, "weight", None)
            if not isinstance(weight, Tensor):
                continue
            bias = getattr(module, "bias", None)
            if hasattr(module, "running_var"):
                weight.uniform_(0.8, 1.2, generator=generator)
                bias.uniform_(-0.1, 0.1, generator=generator)
                module.running_mean.uniform_(-0.1, 0.1, generator=generator)
                module.running_var.uniform_(0.8, 1.2, generator=generator)
            elif isinstance(module, nn.PReLU):
                weight.uniform_(0.1, 0.4, generator=generator)
            elif weight.ndim > 1:
                weight.normal_(0, weight[0].numel() ** -0.5, generator=generator)
                if bias is not None:
                    bias.uniform_(-0.1, 0.1, generator=generator)
    return model.eval()
