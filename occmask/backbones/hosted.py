"""What a backbone made of another library's network needs: the picture it was made for, and shapes that are true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import OptionError
from ..shapes import FeatureShape


class NetworkPicture(nn.Module):
    """Rescales and resizes what the library feeds a backbone, (x - 127.5) / 127.5 for x in 0..255.

    `size`: (height, width) that comes out, bilinear.  `mean`, `std`: of each channel in 0..1, as networks trained on
    ImageNet want it, (x / 255 - mean) / std; 0.5 and 0.5 change nothing.  They are kept in the state dict, so that a
    checkpoint brings its own.  Raises `OptionError` unless both are three numbers and `std` is above 0.
    """

    gain: Tensor  # (3, 1, 1)
    shift: Tensor  # (3, 1, 1)

    def __init__(self, size: tuple[int, int], *, mean: Sequence[float] = (0.5,) * 3, std: Sequence[float] = (0.5,) * 3):
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise OptionError(f"mean and std are three numbers each, std above 0, not {tuple(mean)} and {tuple(std)}")
        self.size = size
        # x / 255 = 0.5 v + 0.5 of what comes in, v
        self.register_buffer("gain", torch.tensor([0.5 / s for s in std])[:, None, None])
        self.register_buffer(
            "shift", torch.tensor([(0.5 - m) / s for m, s in zip(mean, std, strict=True)])[:, None, None]
        )

    def forward(self, image: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, 3, *size)
        x = image * self.gain + self.shift
        if x.shape[-2:] == self.size:
            return x
        return F.interpolate(x, size=self.size, mode="bilinear", align_corners=False)


def observe_maps(
    backbone: nn.Module, picture_size: tuple[int, int], *, name: str, advice: str
) -> tuple[FeatureShape, ...]:
    """The shapes of the maps that `backbone` gives for one black picture of (height, width), in evaluation mode.

    Parameters of `backbone` that no map depends on are frozen: there is nothing for them to learn.  Raises
    `OptionError` where it fails on the picture, with its own words and `advice`, and unless it gives maps
    (1, C, H, W), finest first; `name` says in the error whose they are.
    """
    like = next(backbone.parameters())
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.enable_grad():
            maps = backbone(torch.zeros(1, 3, *picture_size, device=like.device, dtype=like.dtype))
    except Exception as e:  # whatever a network says of a picture that it cannot take
        told = " ".join(str(e).split()) or type(e).__name__
        raise OptionError(f"{name} cannot take {picture_size[0]}x{picture_size[1]} pictures ({told}); {advice}") from e
    finally:
        backbone.train(was_training)
    shapes = _shapes(name, [tuple(features.shape) for features in maps])
    reached = _reached(maps)
    for parameter in backbone.parameters():
        if reached and id(parameter) not in reached:
            parameter.requires_grad_(False)
    return shapes


def _reached(maps: Iterable[Tensor]) -> set[int]:
    """The parameters from which a path of gradients leads to the maps; none where none are kept."""
    waiting = [features.grad_fn for features in maps if features.grad_fn is not None]
    seen, reached = set(waiting), set()
    while waiting:
        node = waiting.pop()
        if hasattr(node, "variable"):
            reached.add(id(node.variable))
        for before, _ in node.next_functions:
            if before is not None and before not in seen:
                seen.add(before)
                waiting.append(before)
    return reached


def _shapes(name: str, sizes: Sequence[tuple[int, ...]]) -> tuple[FeatureShape, ...]:
    listed = ", ".join("x".join(map(str, size)) for size in sizes) or "nothing"
    if any(len(size) != 4 or 0 in size for size in sizes) or not sizes:
        raise OptionError(f"{name} gives {listed} for one picture, and no maps (1, C, H, W)")
    shapes = tuple(FeatureShape(*size[1:]) for size in sizes)
    if any(a.height < b.height or a.width < b.width for a, b in pairwise(shapes)):
        raise OptionError(f"{name} gives {listed}, and maps come finest first; leave some out with out_indices")
    return shapes
