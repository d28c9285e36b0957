"""What a network really gives, found by giving it a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

import occmask


def look_at(
    backbone: nn.Module, image_size: tuple[int, int], run: Callable[[Tensor], Sequence[Tensor]]
) -> list[torch.Size]:
    """The shapes (1, ...) of the maps that `run` gives for one black picture, in evaluation mode.

    Parameters of `backbone` that no map depends on are frozen: there is nothing for them to learn.
    """
    like = next(backbone.parameters())
    backbone.eval()
    with torch.enable_grad():
        maps = run(torch.zeros(1, 3, *image_size, device=like.device, dtype=like.dtype))
    backbone.train()
    reached = _reached(maps)
    for parameter in backbone.parameters():
        if reached and id(parameter) not in reached:
            parameter.requires_grad_(False)
    return [features.shape for features in maps]


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


def feature_shapes(what: str, sizes: Sequence[torch.Size]) -> tuple[occmask.FeatureShape, ...]:
    """The shapes of maps (1, C, H, W); an `OptionError` unless they are maps, finest first."""
    if any(len(size) != 4 or 0 in size for size in sizes) or not sizes:
        raise occmask.OptionError(f"{what} gives {_listed(sizes)} for one picture, and no maps (1, C, H, W)")
    shapes = tuple(occmask.FeatureShape(*size[1:]) for size in sizes)
    for finer, coarser in pairwise(shapes):
        if finer.height < coarser.height or finer.width < coarser.width:
            raise occmask.OptionError(
                f"{what} gives {_listed(sizes)}, and maps come finest first; leave some out with out_indices"
            )
    return shapes


def _listed(sizes: Sequence[torch.Size]) -> str:
    return ", ".join("x".join(map(str, size)) for size in sizes) or "nothing"
