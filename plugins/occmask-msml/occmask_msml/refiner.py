"""MSML's refiner: what the segmentation branch sees in the picture masks the trunk's maps level by level."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

import occmask

from .operators import FeatureMasking, build_operator
from .segmentation import SegmentationNet


class MSML(nn.Module):
    """Occlusion segmentation on the picture, feature masking operators between the trunk's stages (AAAI 2022).

    `widths`: channels of the UNet's scales, the finest (half the picture's size, that of the coverage map) first;
    `depth`: residual blocks of each; published: a ResNet-18, widths (64, 64, 128, 256, 512), depth 2.
    `features`: segmentation channels that each level's operator reads (published: 18); `mask_width`: the operator's own
    (None: as many as the map has).  `operator`: "multiply" or "add", a Spec for options.  `levels`: which maps are
    masked, 0 the finest (None: all).  `dice`: weight of the Dice loss beside cross entropy.  Raises `OptionError`.
    """

    def __init__(
        self,
        image: occmask.FeatureShape,
        maps: tuple[occmask.FeatureShape, ...],
        *,
        widths: Sequence[int] = (16, 24, 32, 48, 64),
        depth: int = 1,
        features: int = 18,
        mask_width: int | None = 16,
        operator: occmask.Spec | str = "multiply",
        levels: Sequence[int] | None = None,
        dice: float = 3.0,
    ):
        super().__init__()
        self.levels = _checked_levels(levels, len(maps))
        if not len(widths) or min(widths) < 1:
            raise occmask.OptionError(f"refiner 'msml': widths are channels, finest scale first, not {widths!r}")
        for option, value in (("depth", depth), ("features", features), ("mask_width", mask_width)):
            if value is not None and value < 1:
                raise occmask.OptionError(f"refiner 'msml': {option} is at least 1, not {value!r}")
        if dice < 0:
            raise occmask.OptionError(f"refiner 'msml': dice is a weight, zero or more, not {dice!r}")
        self.dice = dice
        self.map_sizes = [(maps[level].height, maps[level].width) for level in self.levels]
        self.segmentation = SegmentationNet(image.channels, (image.height, image.width), widths=widths, depth=depth)
        self.scales = [_scale_for(size, self.segmentation.sizes) for size in self.map_sizes]
        self.reads = nn.ModuleList(nn.Conv2d(widths[scale], features, 1) for scale in self.scales)
        self.coverage = nn.Conv2d(widths[0], 1, 1)
        self.operators = nn.ModuleList(
            FeatureMasking(
                maps[level].channels,
                features,
                width=maps[level].channels if mask_width is None else mask_width,
                operator=build_operator(operator),
            )
            for level in self.levels
        )

    def forward(self, images: Tensor) -> occmask.Sight:  # (B, 3, H, W)
        maps = self.segmentation(images)
        seen = []
        for read, scale, size in zip(self.reads, self.scales, self.map_sizes, strict=True):
            found = read(maps[scale])
            if size != self.segmentation.sizes[scale]:
                found = F.interpolate(found, size, mode="bilinear", align_corners=False)
            seen.append(found)
        return occmask.Sight(self.coverage(maps[0]), tuple(seen))

    def refine(self, level: int, features: Tensor, sight: occmask.Sight) -> Tensor:
        """The map (B, C, H, W) of that level, masked, or as it is where this level has no operator."""
        if level not in self.levels:
            return features
        index = self.levels.index(level)
        masked: Tensor = self.operators[index](features, sight.features[index])
        return masked

    def loss(self, coverage: Tensor, truth: occmask.OcclusionTruth) -> Tensor:
        """Cross entropy of the coverage (B, 1, h, w) with the covered share of each place, and `dice` of Dice loss."""
        entropy = occmask.coverage_loss(coverage, truth)
        return entropy + self.dice * _dice_loss(coverage, truth) if self.dice else entropy


def _dice_loss(coverage: Tensor, truth: occmask.OcclusionTruth) -> Tensor:
    """1 - 2 |A B| / (|A| + |B|) with soft areas, one a face, so that a small cover counts as much as a large one.

    One cell is added above and below: a clean face that is called clean then loses nothing.
    """
    assert truth.covered is not None  # `coverage_loss` has asked for it
    predicted = coverage.sigmoid().flatten(1)
    size = (coverage.shape[2], coverage.shape[3])
    target = F.adaptive_avg_pool2d(truth.covered[:, None].float(), size).flatten(1).to(predicted)
    overlap = 2 * (predicted * target).sum(1) + 1
    return (1 - overlap / (predicted.sum(1) + target.sum(1) + 1)).mean()


def _scale_for(size: tuple[int, int], scales: Sequence[tuple[int, int]]) -> int:
    """The coarsest scale that is at least as fine as the map; the finest one where none is."""
    fine = [i for i, scale in enumerate(scales) if scale[0] >= size[0] and scale[1] >= size[1]]
    return fine[-1] if fine else 0


def _checked_levels(levels: Sequence[int] | None, count: int) -> list[int]:
    if levels is None:
        return list(range(count))
    chosen = sorted(set(levels))
    if not chosen or chosen != sorted(levels) or chosen[0] < 0 or chosen[-1] >= count:
        raise occmask.OptionError(
            f"refiner 'msml': levels are different numbers in 0..{count - 1}, at least one, not {tuple(levels)!r}"
        )
    return chosen
