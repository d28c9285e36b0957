"""`check_backbone`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..backbones import BACKBONES, Backbone
from ..shapes import FeatureShape
from .describing import check_description
from .examination import BATCH, Component, Examination, examinations, seeded
from .faces import IMAGE_SIZES, by_size, images
from .modules import check_gradients, check_module


def check_backbone(backbone: Component[Backbone], *, image_sizes: tuple[tuple[int, int], ...] = IMAGE_SIZES) -> None:
    """Raise `AssertionError` unless a backbone keeps its protocol (`occmask.backbones.Backbone`) at each image size.

    Checked: the maps are those that `shapes` declares, finest first; a gradient reaches every trainable parameter;
    and what is checked of every module (see `check_head`); a backbone that is `refinable` hands on each of its maps and
    goes on with what it is given.
    """
    for exam, image in examinations(BACKBONES, backbone, by_size(image_sizes)):
        with seeded():
            _check(exam, image.height, image.width)


def _check(exam: Examination, height: int, width: int) -> None:
    module = exam.build((height, width))
    shapes = getattr(module, "shapes", None)
    exam.require(
        isinstance(shapes, tuple) and len(shapes) > 0 and all(isinstance(shape, FeatureShape) for shape in shapes),
        f"declares `shapes`, a tuple of FeatureShape, not {shapes!r}",
    )
    assert shapes is not None
    exam.require(
        all(a.height >= b.height and a.width >= b.width for a, b in pairwise(shapes)),
        f"declares its maps finest first, not {[tuple(shape) for shape in shapes]}",
    )
    image = images(height, width)
    with exam.clause("takes a batch of images (B, 3, H, W) in training"):
        maps = module.train()(image)
    exam.require(isinstance(maps, tuple), f"returns a tuple of maps, not a {type(maps).__name__}")
    exam.require(len(maps) == len(shapes), f"returns the {len(shapes)} maps that it declares, not {len(maps)}")
    for index, (tensor, shape) in enumerate(zip(maps, shapes, strict=True)):
        exam.require(isinstance(tensor, Tensor), f"returns tensors, but map {index} is a {type(tensor).__name__}")
        exam.require_shape(tensor, (BATCH, *shape), f"map {index}, as declared,")
    check_gradients(exam, module, maps)
    check_module(exam, lambda: exam.build((height, width)), (image,))
    if getattr(module, "refinable", False):
        _check_refining(exam, module, image)
    check_description(exam, (height, width))


def _check_refining(exam: Examination, module: Any, image: Tensor) -> None:
    """Each map as it comes, and each later one made of the map that was given back."""
    handed: list[tuple[int, Tensor]] = []

    def keep(level: int, x: Tensor) -> Tensor:
        handed.append((level, x))
        return x

    with torch.no_grad():
        plain = module.eval()(image)
        with exam.clause("hands each map to `refine(level, map)`, as it says by `refinable`"):
            kept = module(image, keep)
            cut = module(image, lambda level, x: x * 0 if level == 0 else x)
    levels = [level for level, _ in handed]
    exam.require(levels == [*range(len(plain))], f"refines levels 0 to {len(plain) - 1}, once each, not {levels}")
    exam.require_same(tuple(x for _, x in handed), plain, "hands the maps that it returns to `refine`")
    exam.require_same(kept, plain, "returns the same maps when `refine` changes nothing")
    exam.require(not cut[0].any(), "returns the map that `refine` gave back")
    if len(plain) > 1:
        exam.require(not torch.equal(cut[1], plain[1]), "goes on with the map that `refine` gave back, not its own")
